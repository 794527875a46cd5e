// Package redissession keeps sessions in Redis, so that every instance of a
// service sees the same ones.
//
// # Threat
//
// Two instances disagree about a session: one lets in what the other has ended, a
// slow one writes an ended session back, clocks differ, a counter leaks until the
// store is full of nothing.
//
// # Guarantees
//
//   - Each method is one script on one server, by that server's clock: one round
//     trip, and one order for all instances.
//   - A session ends by the recorded times. The time to live of its key, which is
//     a second longer, only collects garbage. Every key has one, indexes included.
//   - Nothing is resurrected: a change or a use is stored only under a key that is
//     there, in the same step that looked.
//   - Ending a user takes one step; ending everybody takes one short step per
//     shard, however many sessions there are.
//   - No command is sent twice, and an outage is an error, never "no session".
//
// # Not guaranteed
//
//   - A use within [Config.Resolution] of the last one written is not written. A
//     session may so end earlier than [sessions.Config] says, by that much at
//     most; never later.
//   - Redis replicates after it answers. A failover may lose the last moments: a
//     session that just began, and an end that was just confirmed. Where that
//     matters, run Redis with min-replicas-to-write, and end again after a failover.
//   - A server whose clock is set back keeps sessions that much longer.
//
// # Place among the gates
//
// It is the Store of [sessions.Config].
//
// # Memory
//
// About 770 bytes of Redis for a user's first session, a few bytes of data included,
// and 500 for each further one. At most [Config.MaxSessions], of which each shard takes
// its part; expired ones make room.
//
// # Format
//
// With the prefix P and a shard's number n, all keys of a shard are in one slot of
// a Cluster:
//
//	{P:n}:s:<tag><hash>  a session, as binary header and payload
//	{P:n}:a              its index: sessions by when they end
//	{P:n}:u:<user>       a user's sessions by id; the user is hashed
//	{P:n}:e              its epoch, which ending everybody raises
//
// [Visits] keeps the visits of package tracker under a prefix of their own, a site in
// one slot.
//
// # Example
//
//	client := redis.NewClient(&redis.Options{
//		Addr: "127.0.0.1:6379", MaxRetries: -1, ContextTimeoutEnabled: true,
//	})
//	store, err := redissession.New(redissession.Config{Client: client})
//	...
//	defer store.Close()
//	sess, err := sessions.New[Profile](sessions.Config{Store: store})
package redissession
