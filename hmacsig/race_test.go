//go:build race

package hmacsig_test

// racing: under the race detector sync.Pool drops at random, and everything is
// ten times slower.
const racing = true
