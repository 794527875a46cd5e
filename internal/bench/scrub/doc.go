// Package scrub compares the text engine with four regular expressions of
// the standard library for the same values, and with a plain byte loop.
package scrub
