module github.com/opsmantik/sallyport/tools/lint/mutate

go 1.26.0
