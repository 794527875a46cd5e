// Package redisconn is how this module's stores use a Redis client that their
// caller made and closes.
//
// # Checks
//
// [Check] finds, before anything is sent, what would make a client unsafe:
//
//   - Commands that are sent again. When an answer is lost nobody knows whether
//     the command ran; sent twice, it charges a limit twice, or finds its own
//     claim of a replay entry taken. go-redis retries three times unless told
//     otherwise.
//   - Contexts whose deadline go-redis ignores, which is its default: a command
//     then waits 5 seconds, whatever a gate promised.
//   - Passwords and data in the clear, and servers whose certificate nobody looks
//     at. A server on this machine needs no TLS.
//   - Reads from replicas, which are late.
//
// [Conn.Connect] asks the server for the rest: whether it may evict keys, and
// whether this user may do what the store needs. A server that says no is an
// error when the program starts ([Refused]); one that does not answer is an
// outage, which every store bears in its own way.
//
// # Deadlines
//
// A TLS connection takes three to four round trips before its first answer: at
// 40 ms, longer than a decision may take. So connections are made by Connect and
// by the goroutine of [Conn.Keep], on a deadline of their own, and decisions use
// what is ready. No more commands are under way at once than connections were
// made ready; others wait for their turn, within their own deadline.
package redisconn
