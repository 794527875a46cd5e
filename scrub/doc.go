// Package scrub removes personal data and secrets from text and values before
// they leave the process.
package scrub
