module github.com/opsmantik/sallyport/internal/bench

go 1.26.0

replace github.com/opsmantik/sallyport => ../../
