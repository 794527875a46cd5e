# Every target is a name for a command that works without make.

.PHONY: check test soak demo deps

check: ## every check that CI runs; services that are missing here are skipped
	.ci/check

test:
	go test work

soak: ## the long proofs in full: minutes of load, faults and random attempts each
	SALLYPORT_SOAK=1 SALLYPORT_REQUIRE_SERVICES=1 go test -race -timeout 2h work

demo: ## the reference server with generated settings
	go run ./examples/ingest

deps: ## brings docs/dependencies.md up to date with the go.mod files
	go run ./internal/repocheck/depslist -w
