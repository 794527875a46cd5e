//go:build !race

package hmacsig_test

const racing = false
