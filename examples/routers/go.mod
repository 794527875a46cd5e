module github.com/opsmantik/sallyport/examples/routers

go 1.26.0

require github.com/opsmantik/sallyport v0.0.0

replace github.com/opsmantik/sallyport => ../..
