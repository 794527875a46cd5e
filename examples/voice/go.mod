module github.com/opsmantik/sallyport/examples/voice

go 1.26.0

replace github.com/opsmantik/sallyport => ../../
