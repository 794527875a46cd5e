// Package hmacsig verifies and makes HMAC-SHA256 request signatures.
package hmacsig
