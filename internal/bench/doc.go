// Package bench is its own module, so that the peers it measures never reach
// the library's go.mod. Each folder compares one package with its peers in a
// single run.
package bench
