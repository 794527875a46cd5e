//go:build !race

package envelope_test

const racing = false
