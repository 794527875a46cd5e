// Package sallyport is the root of seven security gates for net/http services;
// it holds no code. Import the package you need: cors, hmacsig, ratelimit,
// tenancy, scrub, sessions or audit.
package sallyport
