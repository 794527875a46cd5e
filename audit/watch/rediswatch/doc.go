// Package rediswatch sums what several instances have counted, in Redis: a
// watch.Merger.
//
// # Threat
//
// An attack that a balancer spreads over ten instances is a tenth of itself on each.
//
// # Guarantees
//
// Every instance adds the counts of a minute in one script, waits [Config.Wait], and reads
// the sum. All judge the same sums; the first that claims an alert tells it. A command is
// sent once: if its outcome is unknown, that instance leaves the minute out.
//
// # Not guaranteed
//
// An instance that adds its counts later than the others read is missing in theirs. Clocks
// have to agree within Wait. Who can write to this Redis can hide an attack.
//
// # Place among the gates
//
// Beside them, behind package watch.
//
// # Memory
//
// One hash per minute for five minutes, about 100 bytes per series that counted something,
// and one key per alert for half an hour.
//
// # Format
//
// Prefix "sum:" layout ":" unix minute holds a count per index of a series; Prefix "told:"
// and a hash of the alert's id holds who tells it.
//
// # Example
//
//	merger, err := rediswatch.New(rediswatch.Config{Client: client})
//	...
//	tower, err := watch.New(watch.Config{Merger: merger, ...})
package rediswatch
