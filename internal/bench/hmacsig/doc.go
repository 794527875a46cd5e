// Package hmacsig compares sallyport/hmacsig with its peers, side by side:
//
//	go test -run '^$' -bench . -benchmem ./hmacsig
//	go test -run TestRatios -v ./hmacsig -ratios
//
// Ours is the whole middleware: header parsing, body, MAC, window, replay
// claim, request context and settling. The peers read the body and verify;
// none of them keeps a replay store. The floor is one HMAC-SHA256 with a keyed
// state that is reset, over a body that is already in memory.
package hmacsig
