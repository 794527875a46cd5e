module example.test/deps/sub

go 1.26.0

tool example.test/linter/cmd/linter

require (
	example.test/lint v1.0.0 // indirect
	example.test/linter v1.0.0 // indirect
)
