// Package browser holds the tests that only a real browser can pass: they drive
// Chromium against the packages of this module on loopback. There is nothing
// here to import.
package browser
