//go:build race

package envelope_test

// racing: under the race detector sync.Pool drops at random, and everything is
// slower.
const racing = true
