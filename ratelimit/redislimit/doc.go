// Package redislimit keeps the buckets of package ratelimit in Redis, shared by
// every process that uses the same server, secret and prefix.
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
// breaker: decisions then fail at once and one probe, four times a second, asks
// whether the server can be written to. In a Cluster each 32nd part of the
// slots has its own breaker. An unknown outcome is never sent again: the charge
// may come late, once, and Stats counts it.
//
// # Keys
//
// A key is a prefix, a hash tag of 4 characters and 18 characters of
// HMAC-SHA256: neither addresses nor credentials can be read from Redis, nor
// found by trying. Its value is one integer, and it expires when the bucket is
// full. All keys of one tenant (ratelimit.Key.In), and all policies on one key,
// share a Cluster slot. Policies in different slots cannot be decided together:
// that is an error, on which each policy does as its OnOutage says.
//
// # Server
//
// The server must not evict keys: each would be a bucket that starts full
// again. New refuses a server whose maxmemory-policy is not noeviction, unless
// it has no maxmemory. Give the limiter a server, or at least a logical
// database, of its own, and a user that may only ~rl:* and info, eval, evalsha,
// and what the scripts call: time, get, set, psetex, del, pttl, pexpire, zadd,
// zcard, zrem, zremrangebyscore, zscore. Redis 6.2 or later with Lua's
// cmsgpack, which is built in.
package redislimit
