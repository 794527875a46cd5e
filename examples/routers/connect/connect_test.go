// Package connect_test mounts the gates in front of connect handlers, for the
// connect protocol and for gRPC.
package connect_test
