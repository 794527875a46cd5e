// Package redislimit keeps the buckets of package ratelimit in Redis, shared by
// every process that uses the same server, secret and prefix.
package redislimit
