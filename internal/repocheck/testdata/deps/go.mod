module example.test/deps

go 1.26.0

require (
	example.test/fine v1.0.0
	example.test/unlisted v1.0.0
	example.test/old v1.1.0
	example.test/unexplained v1.0.0
	github.com/opsmantik/sallyport v0.0.0
)

require (
	example.test/indirect v1.0.0 // indirect
	example.test/indirect-unlisted v1.0.0 // indirect
)
