// Package ratelimit limits how often clients may do things, in one process or
// exactly across many.
package ratelimit
