// Package tracker follows the visits of a tracked page: sessions whose id the page
// sends in the body of each event, without a cookie. They group events and prove
// nothing.
//
// # Threat
//
// A visit is taken for a sign-in. Its id is chosen by a browser, sent in the clear to
// whoever collects events, and known to every script of the page; an id that any code
// accepted as a session would sign in whoever reads it.
//
// # Guarantees
//
//   - A [Visit] is a type of its own, with no conversion to sessions.Session,
//     sessions.Info or sallyport.Principal: code that authenticates with one does not
//     compile.
//   - Visits are kept by site and id. The same id at another site is another visit, so
//     that no site learns of another's visitors.
//   - A visit ends after exactly [Config.Idle] without an event, by the store's clock;
//     at exactly that age the next event begins another.
//   - Memory is bounded by site and in all. Who invents ids without end fills the
//     share of one site, and ends nobody's visit.
//
// # Not guaranteed
//
//   - Who knows an id can add events to its visit. Nothing that matters may depend
//     on a visit.
//   - An event counts when it is received, however long the page held it back.
//
// # Place among the gates
//
// In the handler of events, after the origin, the rate limits and the site were
// proved: the site given to [Tracker.Touch] must be the proved one.
//
// # Memory
//
// [Memory] takes about 300 bytes a visit, at most MaxVisits of them. Visits that are
// over leave with the next event of any site.
//
// # Example
//
//	memory, err := tracker.NewMemory(tracker.MemoryConfig{})
//	...
//	visits, err := tracker.New(tracker.Config{Store: memory})
//	...
//	visit, err := visits.Touch(ctx, site.ID, event.Session)
//	if err == nil {
//		row.Visit = visit.ID // else the event is stored without one
//	}
package tracker
