package watch

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/opsmantik/sallyport"
)

// Tier is how urgent an alert is.
type Tier uint8

// The tiers.
const (
	Notice Tier = iota + 1 // to be read in working hours
	Page                   // to be looked at now
)

// String returns "notice" or "page".
func (t Tier) String() string {
	if t == Page {
		return "page"
	}
	return "notice"
}

// MarshalText writes the name.
func (t Tier) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the name.
func (t *Tier) UnmarshalText(text []byte) error {
	*t = Notice
	if string(text) == "page" {
		*t = Page
	}
	return nil
}

// Alert is one thing that is not as usual, explained for who has to act on it.
type Alert struct {
	// ID is the same as long as the alert is about the same thing.
	ID     string `json:"id"`
	Code   string `json:"code"`
	Rule   string `json:"rule"`
	Tenant string `json:"tenant,omitzero"`
	// Key is whom a scenario or novelty is about.
	Key  string `json:"key,omitzero"`
	Tier Tier   `json:"tier"`
	// Since is when it began, Updated when it was last so, Ended zero while it is.
	Since   time.Time `json:"since"`
	Updated time.Time `json:"updated"`
	Ended   time.Time `json:"ended,omitzero"`
	// Seen is what was counted, and Usual what was expected, per minute.
	Seen  float64 `json:"seen"`
	Usual float64 `json:"usual"`
	// Condition says which condition is met, in words.
	Condition string        `json:"condition"`
	Top       []Contributor `json:"top,omitzero"`
	// Hint is the first step, from the configuration.
	Hint string `json:"hint,omitzero"`
	// Reopened is how often it came back before it was forgotten.
	Reopened int `json:"reopened,omitzero"`
	// Decisions are those that people made about it.
	Decisions []Decision `json:"decisions,omitzero"`

	muted time.Time // no notification before
	told  Tier      // the tier that was notified
	next  time.Time // of a breach's reminder
}

// Action is what a person decided.
type Action string

// The actions.
const (
	// Acknowledge: somebody is at it. It stays open, and tells nothing further unless it
	// rises to a page.
	Acknowledge Action = "acknowledge"
	// Silence: it tells nothing until Decision.Until.
	Silence Action = "silence"
	// Expected: it is planned, until Decision.Until. The series is not judged, and
	// nothing is learned from it.
	Expected Action = "expected"
	// Breach: personal data is out, known since Decision.Time. The clock of 72 hours
	// runs (GDPR Article 33) until Notified.
	Breach Action = "breach"
	// Notified: the authority was notified.
	Notified Action = "notified"
)

// Decision is what a person decided about an alert, and why.
type Decision struct {
	// Alert is the ID of an alert; for Breach, a name for the incident.
	Alert  string    `json:"alert"`
	Action Action    `json:"action"`
	Actor  string    `json:"actor"`
	Reason string    `json:"reason"`
	Time   time.Time `json:"time"`
	Until  time.Time `json:"until,omitzero"`
}

const (
	// keepFiring is how long an alert has to be gone until it is resolved.
	keepFiring = 5 * time.Minute
	// forgetAfter is how long a resolved alert that comes back is the same one.
	forgetAfter = time.Hour
	// longestMute bounds a silence and an expectation.
	longestMute = 30 * 24 * time.Hour
	// maxAlerts bounds what is remembered.
	maxAlerts = 1000
	// maxGroup is how many alerts one notification names.
	maxGroup    = 20
	breachHours = 72
)

// raise notes that a condition is met. It runs with the lock held.
func (e *Engine) raise(now time.Time, a Alert) {
	a.ID = strings.Join([]string{a.Code, a.Rule, a.Tenant, a.Key}, ":")
	old := e.alerts[a.ID]
	if old == nil {
		if len(e.alerts) >= maxAlerts {
			e.dropped.Add(1)
			return
		}
		if a.Since.IsZero() {
			a.Since = now
		}
		old = &a
		e.alerts[a.ID] = old
	} else if !old.Ended.IsZero() {
		old.Reopened++
		old.Ended = time.Time{}
	}
	old.Tier = max(old.Tier, a.Tier)
	old.Updated, old.Seen, old.Usual, old.Condition = now, a.Seen, a.Usual, a.Condition
	if len(a.Top) > 0 {
		old.Top = a.Top
	}
	if old.told < old.Tier && now.After(old.muted) {
		old.told = old.Tier
		e.news = append(e.news, old)
		if e.cfg.OnEvent != nil {
			e.cfg.OnEvent(context.Background(), sallyport.Event{
				Gate: gate, Code: a.Code, Allowed: true, Policy: a.Rule, Tenant: a.Tenant,
			})
		}
	}
}

// settle resolves what is gone, forgets what is long gone, and tells the news.
func (e *Engine) settle(ctx context.Context, now time.Time) {
	for id, a := range e.alerts {
		switch {
		case a.Code == CodeBreach && a.Ended.IsZero():
			e.remind(now, a)
		case a.Ended.IsZero() && now.Sub(a.Updated) > keepFiring:
			a.Ended = a.Updated
			if a.told > 0 && now.After(a.muted) {
				e.news = append(e.news, a)
			}
		case !a.Ended.IsZero() && now.Sub(a.Ended) > forgetAfter && now.After(a.muted):
			delete(e.alerts, id)
		}
	}
	groups := map[string][]Alert{}
	for _, a := range e.news {
		name := a.Code + ":" + a.Rule
		if len(groups[name]) < maxGroup {
			groups[name] = append(groups[name], a.copy())
		}
	}
	e.news = e.news[:0]
	for _, group := range groups {
		e.tell(ctx, group)
	}
}

func (a *Alert) copy() Alert {
	c := *a
	c.Top, c.Decisions = slices.Clone(a.Top), slices.Clone(a.Decisions)
	return c
}

// remind pages again as the hours of a breach run out.
func (e *Engine) remind(now time.Time, a *Alert) {
	if now.Before(a.next) {
		return
	}
	left := a.Since.Add(breachHours * time.Hour).Sub(now)
	a.Updated, a.Seen = now, now.Sub(a.Since).Hours()
	a.Condition = "a breach was declared; " + left.Truncate(time.Minute).String() +
		" are left to notify the authority"
	if left <= 0 {
		a.Condition = "the 72 hours to notify the authority of a breach are over"
	}
	switch {
	case left > 24*time.Hour:
		a.next = now.Add(min(24*time.Hour, left-24*time.Hour))
	case left > 6*time.Hour:
		a.next = now.Add(6 * time.Hour)
	default:
		a.next = now.Add(time.Hour)
	}
	e.news = append(e.news, a)
}

// Alerts returns all alerts that are open or ended within the hour, pages first and then
// the newest.
func (e *Engine) Alerts() []Alert {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]Alert, 0, len(e.alerts))
	for _, a := range e.alerts {
		all = append(all, a.copy())
	}
	slices.SortFunc(all, func(x, y Alert) int {
		if x.Tier != y.Tier {
			return int(y.Tier) - int(x.Tier)
		}
		return y.Since.Compare(x.Since)
	})
	return all
}

// Decide makes a decision of a person count, once it is on record. A reason and an
// actor are required; Silence and Expected need an Until within 30 days.
func (e *Engine) Decide(ctx context.Context, d Decision) error {
	now := d.Time
	until := d.Action == Silence || d.Action == Expected
	switch {
	case d.Actor == "" || d.Reason == "" || d.Alert == "" || d.Time.IsZero():
		return ErrDecision
	case until && (!d.Until.After(now) || d.Until.Sub(now) > longestMute):
		return ErrDecision
	case !until && d.Action != Acknowledge && d.Action != Breach && d.Action != Notified:
		return ErrDecision
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.alerts[d.Alert]
	if a == nil && d.Action != Breach || d.Action == Notified && a.Code != CodeBreach {
		return ErrNoAlert
	}
	if e.cfg.Record != nil {
		if err := e.cfg.Record(ctx, d); err != nil {
			return err
		}
	}
	e.apply(a, d)
	return nil
}

func (e *Engine) apply(a *Alert, d Decision) {
	switch d.Action {
	case Breach:
		e.raise(d.Time, Alert{
			Code: CodeBreach, Rule: d.Alert, Tier: Page, Since: d.Time, Usual: breachHours,
			Condition: "a breach was declared; 72 hours are left to notify the authority",
			Hint:      "find out whose data it is, and prepare the notification",
		})
		a = e.alerts[CodeBreach+":"+d.Alert+"::"]
	case Acknowledge:
		a.told = max(a.told, a.Tier)
	case Silence:
		a.muted = d.Until
	case Expected:
		a.muted = d.Until
		e.expected[a.Rule+"\x00"+a.Tenant] = d.Until
	case Notified:
		a.Ended = d.Time
	}
	if a != nil && len(a.Decisions) < 100 {
		a.Decisions = append(a.Decisions, d)
	}
}
