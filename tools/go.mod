module github.com/opsmantik/sallyport/tools

go 1.26.0
