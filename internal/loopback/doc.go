// Package loopback starts real servers for tests: redis-server, a Redis
// Cluster, Postgres, pgbouncer, nginx, Caddy, and finds Chromium.
//
// Every server is a fresh process on a free port of 127.0.0.1 with its data in
// a temporary folder, and is stopped by process id when the test ends. On Linux
// it also dies with the test process, so that an interrupted run leaves nothing
// behind.
//
// A missing binary skips the test with a message that names the Debian package.
// With SALLYPORT_REQUIRE_SERVICES=1 in the environment, as in CI, it fails the
// test instead: a skipped proof proves nothing.
//
// Only Unix is supported. No server here is safe to expose: there is no
// authentication, and Postgres trusts every loopback connection.
package loopback
