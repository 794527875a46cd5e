# Every target is a name for a command that works without make.

.PHONY: check test demo deps

check: ## every check that CI runs; services that are missing here are skipped
	.ci/check

test:
	go test work

demo: ## the reference server with generated settings
	go run ./examples/ingest

deps: ## brings docs/dependencies.md up to date with the go.mod files
	go run ./internal/repocheck/depslist -w
