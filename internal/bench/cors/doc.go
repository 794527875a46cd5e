// Package cors compares sallyport/cors with its peers, side by side:
//
//	go test -run '^$' -bench . -benchmem ./cors
//	go test -run TestRatios -v ./cors -ratios
//
// The peers decide less: they run the handler for unlisted origins too. The
// floor is the same handler without any gate.
package cors
