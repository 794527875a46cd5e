// Package watch sees unusual patterns in the events of the gates within minutes, and
// says what is unusual about them.
//
// # Threat
//
// Somebody guesses passwords from many addresses, replays or forges requests, tries one
// tenant's credentials on others, floods a service, or breaks it; or a deployment does.
// Each single refusal is right and says nothing. Nobody reads the log in time, and
// whoever gets an alarm a day soon reads none.
//
// # Guarantees
//
//   - [Engine.Observe] allocates nothing and waits for nobody. What it cannot note at
//     once is counted in [Health.Dropped], and is an alert.
//   - A [Series] is compared with its own last four weeks, quarter-hour by quarter-hour,
//     at the level of its last hour. Counts that vary more than chance are allowed for
//     (negative binomial CUSUM), by a threshold that its own quiet days have set. An
//     attack is not learned: not its days, not its hours.
//   - A gap (nobody watched), a restart and a stop (there is nothing to see) are three
//     different things. Traffic that comes back to what is usual is no rise.
//   - Two tiers. A page is for somebody who sleeps: volume alone pages nobody, only
//     together with refusals, a ratio, a scenario or a gauge. In the first day a series
//     only learns; in its first 28 days it gives notices and no pages. Scenarios, ratios
//     and gauges page from the start.
//   - [New] refuses a scenario that the service's own limits make impossible, and a code
//     that no gate has.
//   - An alert is told once, and again when it rises to a page or is resolved. It is
//     resolved after it was gone for five minutes; if it comes back within an hour it is
//     the same alert.
//   - What people decide (acknowledge, silence, expected) has a reason and is on record
//     before it counts.
//
// # Not guaranteed
//
//   - Three times the usual rate is seen within three minutes at ten a minute. At less,
//     or with counts that vary wildly, it takes longer, or is not seen at all;
//     docs/benchmarks.md has figures. Ten times is.
//   - Whoever stays below every rule is not seen. What comes slowly enough over weeks is
//     learned.
//   - The calendar knows weeks, not holidays. A day with half the traffic gives no page.
//   - Without a [Merger] each process counts its own events: what is spread over several
//     instances shows later. With one, scenarios and novelties still are those of each.
//   - Labels of alerts may hold what a client sent, where Show or a novelty allows it.
//
// # Place among the gates
//
// Beside them: Observe is an OnEvent.
//
// # Memory
//
// A series takes 7 KiB, with Top 140 KiB more for all its tenants together. A scenario
// holds 1,024 keys in 150 KiB, and with Distinct 8 KiB more per unit of Capacity. A
// novelty takes 32 KiB and its values. No key of an event makes any of them grow: a
// million spoofed keys displace one another and leave the fullest buckets alone.
//
// # Example
//
//	tower, err := watch.New(watch.Config{
//		Series: []watch.Series{
//			{Name: "refused", Match: watch.Match{Outcome: watch.Refused}, Top: watch.Address},
//			{Name: "decisions"},
//		},
//		Ratios: []watch.Ratio{
//			{Name: "refused-share", Part: "refused", Whole: "decisions", Usual: 0.02},
//		},
//		Scenarios: []watch.Scenario{{
//			Name: "spraying", Match: watch.Match{Codes: []string{loginguard.CodeFailed}},
//			Per: watch.All, Distinct: watch.Actor, Capacity: 20, Leak: time.Minute, Page: true,
//		}},
//		OnAlert: watch.Log(slog.Default()),
//	})
//	...
//	go tower.Run(ctx)
//	origins, err := cors.New(cors.Config{Origins: list, OnEvent: tower.Observe})
package watch
