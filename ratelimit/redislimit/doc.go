// Package redislimit keeps the buckets of package ratelimit in Redis, shared by
// every process that uses the same server, secret and prefix.
//
// # Threat
//
// Clients that spread over many processes to get the limit many times; a Redis
// that is slow, gone, full, or not the one that was meant; and whoever reads what
// Redis stores.
//
// # Guarantees
//
//   - All instances together admit what the limit says, and no more.
//   - A decision waits for at most Config.Timeout, whatever the server does.
//   - A command whose outcome is not known is never sent again.
//   - A server that says no fails New. One that does not answer is an outage, whose
//     cause is in the error.
//   - Neither addresses nor credentials can be read from Redis.
//
// # Not guaranteed
//
// Redis replicates asynchronously: after a failover, buckets are as full as the
// replica knew. A charge whose answer was lost may come late, once; Stats counts
// them. Connections of their own deadline need the client's: a DialTimeout below
// five round trips keeps a far server out.
//
// # Place among the gates
//
// None of its own: it is the Store of a Limiter, and of a loginguard.Guard.
//
// # Memory
//
// In Redis 130 bytes per key that is not full. In the process about 4 MB of denials
// and leases when busy, and sixteen connections per server.
//
// # Consistency
//
// A decision is one Lua script: integer GCRA on the clock of Redis, over up to
// eight policies, all or none, in one round trip. Clients' clocks do not
// matter. Should the server's clock be set back, buckets are at most empty;
// set forward, at most full. After FLUSHALL, or a failover that lost writes,
// buckets are as full as the data says.
//
// # What is answered without Redis
//
// A denial tells until when it holds, so the same question is refused in this
// process until then, for at most 10 seconds. Decisions made at the same time
// share a script call, and equal ones among them one pair of commands; a caller
// alone never waits for others.
//
// With Config.Lease, a process takes up to so many units of a busy key ahead,
// at most an eighth of its burst, and admits from them. What is admitted was
// always charged before, so the sum never exceeds the limit; but a unit may be
// used up to LeaseTime after it was charged, so in a span of time t a bucket
// admits at most Burst + Count*(t+LeaseTime)/Window. What is not used in time
// is lost: at most Lease units per instance and key at any moment. Once
// denied, a leased key rests until a batch of units has come back.
//
// # Failure
//
// A decision waits for at most Config.Timeout, 50 ms by default, and while
// others are being sent for the same again. Three failures in a row open a
// breaker: decisions then fail at once, with the cause, and a probe asks up to four
// times a second, on a deadline of its own, whether the scripts run again. It makes
// connections ready before decisions return to them: a TLS connection takes four
// round trips, which no decision has. In a Cluster each 32nd part of the
// slots has its own breaker. An unknown outcome is never sent again: the charge
// may come late, once, and Stats counts it.
//
// # Keys
//
// A key is a prefix, a hash tag of 4 characters and 18 characters of
// HMAC-SHA256: neither addresses nor credentials can be read from Redis, nor
// found by trying. Its value is one integer, the time at which the bucket is full,
// in nanoseconds, and the key expires then. (A bucket that owes more than its
// present limit can hold has ":" and the time of its first refusal, in
// microseconds, behind that.) All keys of one tenant (ratelimit.Key.In), and all
// policies on one key, share a Cluster slot. Policies in different slots cannot be
// decided together: that is an error, on which each policy does as its OnOutage
// says.
//
// # Server
//
// The server must not evict keys: each would be a bucket that starts full
// again. New refuses a server whose maxmemory-policy is not noeviction, unless
// it has no maxmemory. Give the limiter a server, or at least a logical
// database, of its own, and a user that may only ~rl:* and hello, ping, info, eval,
// evalsha, and what the scripts call: time, get, set, psetex, del, pttl, pexpire,
// zadd, zcard, zrem, zremrangebyscore, zscore. Redis 6.2 or later with Lua's
// cmsgpack, which is built in.
//
// # Example
//
//	client, err := redislimit.NewClient(os.Getenv("REDIS_URL"))
//	...
//	defer client.Close()
//	store, err := redislimit.New(redislimit.Config{
//		Client: client,
//		Secret: secret, // the same in every instance
//	})
//	...
//	defer store.Close()
//	limiter, err := ratelimit.New(ratelimit.Config{Store: store, Instances: 4})
package redislimit
