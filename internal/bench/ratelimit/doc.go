// Package ratelimit compares sallyport's ratelimit with its peers, and holds
// the tests that need modules which its users should not.
//
// The comparison is one run of
//
//	SALLYPORT_BENCH=1 go test -run '^TestBars' -v ./ratelimit
//
// in internal/bench. It reports CPU time, not wall time, wherever that is what
// a decision costs, so that a busy machine changes little.
package ratelimit
