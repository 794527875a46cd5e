package gatetest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// isolationAttacks are what one tenant can do to another with a credential of his
// own. They are one sweep over the route, which is reported by what came of it.
func isolationAttacks() []attack {
	shared := func(s *Suite, r *Route) bool { return s.Tenants != nil && (!r.Public || r.Sign != nil) }
	private := func(s *Suite, r *Route) bool { return shared(s, r) && !r.Public }
	const within = "look for the id among what belongs to the tenant that was proved, also when " +
		"the id is all there is: WHERE id = $1 AND tenant = $2"
	return []attack{
		{
			name: "request of each tenant", gate: "handler", applies: private, run: eachTenant,
			fix: "declare in Suite.Tenants what each tenant owns, or the attacks prove nothing",
		},
		{
			name: "data of another tenant", gate: "tenancy", applies: shared, fix: within,
			run: func(t *trial) []string { return t.swept().data },
		},
		{
			name: "rows of another tenant changed", gate: "tenancy", applies: shared, fix: within,
			run: func(t *trial) []string { return t.swept().changed },
		},
		{
			name: "id of another tenant is told from none", gate: "tenancy", applies: shared,
			fix: "answer for what is another's as for what does not exist: status, headers and body",
			run: func(t *trial) []string { return t.swept().told },
		},
		{
			name: "id of another tenant is told by time", gate: "tenancy", applies: private, run: toldByTime,
			fix: "do no work for an id before it is known to be the tenant's",
		},
		{
			name: "limit before isolation", gate: "gatetest", applies: shared,
			fix: "raise the limits of the server that New makes: it refuses what is to be tried",
			run: func(t *trial) []string { return t.swept().limited },
		},
	}
}

// as returns a user of a tenant on the server of the trial.
func (t *trial) as(tenant, user int) asker {
	return asker{t, t.tenants[tenant], t.members[tenant][user]}
}

// eachTenant makes sure that every tenant's first user is let in, and sees nothing of
// the others.
func eachTenant(t *trial) (wrong []string) {
	for i := range t.tenants {
		fresh := t.fresh(t.tb)
		a := fresh.as(i, 0)
		d := a.genuine()
		got := a.genuinely(d)
		if !a.accepted(got) {
			wrong = append(wrong, fmt.Sprintf("tenant %s: %s", a.tenant.Name, got))
		}
		for j := range fresh.tenants {
			if text := a.seen(fresh.tenants[j], d, got); j != i && text != "" {
				wrong = append(wrong, fmt.Sprintf("tenant %s: %s", a.tenant.Name, text))
			}
		}
		fresh.close()
	}
	return wrong
}

// genuinely signs and sends, from an address of its own where a limit is in the way.
func (a asker) genuinely(d *draft) answer {
	a.tb.Helper()
	if a.roams {
		a.sent++
		d.RemoteAddr = fmt.Sprintf("[2001:db8:%x::7]:40000", a.sent%0xffff) // RFC 3849
	}
	return a.trial.genuine(d)
}

// seen says what of another tenant is in an answer, apart from what was asked.
func (a asker) seen(of Tenant, d *draft, got answer) string {
	return a.seenOf(of, of.canaries(), d.requestText(), got)
}

func (a asker) seenOf(of Tenant, canaries []string, asked string, got answer) string {
	body := text(got)
	for _, canary := range canaries {
		mine := slices.ContainsFunc(a.tenant.canaries(), func(own string) bool { return own == canary })
		if !mine && !strings.Contains(asked, canary) && strings.Contains(body, canary) {
			return fmt.Sprintf("%d with %q of tenant %s", got.status, canary, of.Name)
		}
	}
	return ""
}

// canaries are the texts by which the tenant's data are known, its ids among them.
func (t Tenant) canaries() []string {
	long := slices.DeleteFunc(t.ids(), func(id string) bool { return len(id) < minCanary })
	return append(long, t.Canaries...)
}

func (t Tenant) ids() (all []string) {
	for _, kind := range sortedKinds(t) {
		all = append(all, t.IDs[kind]...)
	}
	return all
}

// outcome is what a route lets out.
type outcome struct{ data, changed, told, limited []string }

// swept is the outcome of all users of all tenants against all others. It is found
// once for a route.
func (t *trial) swept() *outcome {
	if found := t.campaign.outcomes[t.declared]; found != nil {
		return found
	}
	found := &outcome{}
	t.campaign.outcomes[t.declared] = found
	for attacker := range t.tenants {
		for victim := range t.tenants {
			for user := range t.members[attacker] {
				if attacker == victim || t.declared.Public && attacker > 0 {
					continue // whoever signs without signing in is the first tenant
				}
				s := &sweep{trial: t, found: found, attacker: attacker, victim: victim, user: user}
				s.run()
			}
		}
	}
	return found
}

// most is how many findings of one kind are told of a route: those that follow are
// alike.
const most = 3

// sweep is one user of a tenant against another tenant, on one route.
type sweep struct {
	*trial
	found                  *outcome
	attacker, victim, user int

	now    *world
	own    *twins // the answers to the genuine request, each the first on its server
	tried  []variant
	roamed bool
}

// world is a server that the sweep uses until something has been changed on it.
type world struct {
	asker
	victim Tenant
	owner  func(*http.Request)
	before []twins // what the victim reads
	used   bool
	closed bool
}

func (s *sweep) run() {
	s.tb.Helper()
	defer s.retire()
	for _, v := range s.declared.variants(s.tenants[s.victim]) {
		if s.full() {
			return
		}
		s.try(v)
	}
}

// full reports whether there is nothing left to learn.
func (s *sweep) full() bool {
	f := s.found
	return len(f.limited) > 0 || len(f.data) >= most && len(f.told) >= most
}

// enter returns a server on which nothing has been changed.
func (s *sweep) enter() *world {
	s.tb.Helper()
	if s.now != nil && !s.now.closed {
		return s.now
	}
	s.now = s.newWorld()
	s.now.before = s.now.reads()
	s.tried = nil
	return s.now
}

func (s *sweep) newWorld() *world {
	s.tb.Helper()
	fresh := s.fresh(s.tb)
	fresh.roams = s.roamed
	return &world{
		asker: fresh.as(s.attacker, s.user), victim: fresh.tenants[s.victim],
		owner: fresh.members[s.victim][0],
	}
}

// try asks for an id of the victim, and for one that exists nowhere.
func (s *sweep) try(v variant) {
	s.tb.Helper()
	w := s.enter()
	got, ok := s.send(w, v, w.victim.IDs[v.kind][v.nth])
	if !ok {
		return
	}
	s.tried = append(s.tried, v)
	w = s.now // another one, if the first had a limit
	changes := got.status < 400 && !isSafe(got.method)
	switch {
	case v.selects:
	case changes && s.ignored(imprintOf(got.answer, w.tenant.ids()...)):
		// As without the id: there is nothing to tell.
	default:
		s.compare(v, got, changes)
	}
	if changes {
		s.retire()
	}
}

// reply is an answer and its imprint.
type reply struct {
	answer
	imprint imprint
	method  string
}

// send sends a variant and looks for the victim's data in the answer.
func (s *sweep) send(w *world, v variant, id string) (reply, bool) {
	s.tb.Helper()
	d := v.draft(w.asker, id)
	if d == nil {
		return reply{}, false
	}
	got := w.genuinely(d)
	if got.status == http.StatusTooManyRequests {
		return s.past(w, v, id)
	}
	w.used = true
	if text := w.seen(w.victim, d, got); text != "" && len(s.found.data) < most {
		s.found.data = append(s.found.data, s.says(v, text))
	}
	return reply{got, imprintOf(got, s.asked(v, w.asker, id)...), d.Method}, true
}

// asked are the texts of an id in a variant that may come back.
func (s *sweep) asked(v variant, a asker, id string) []string {
	all := []string{id, strings.ReplaceAll(id, "-", "")}
	for _, list := range [][]spelling{textSpellings, rawSpellings, jsonSpellings} {
		for _, sp := range list {
			if sp.name == v.spelling {
				text, _ := sp.text(a.tenant.IDs[v.kind][0], id)
				all = append(all, text)
			}
		}
	}
	return all
}

// past sends what a limit has refused: from other addresses, and on a fresh server.
func (s *sweep) past(w *world, v variant, id string) (reply, bool) {
	s.tb.Helper()
	if s.roamed && !w.used {
		s.found.limited = append(s.found.limited, v.String()+": 429 on a fresh server")
		return reply{}, false
	}
	s.roamed, w.roams = true, true
	if w != s.now {
		w.used = false
		return s.send(w, v, id)
	}
	s.retire()
	next := s.enter()
	owner, ok := w.ownerOf(v.kind, id)
	if ok && owner.Name == w.victim.Name {
		id = next.victim.IDs[v.kind][v.nth]
	}
	return s.send(next, v, id)
}

// ignored reports whether an answer is that to the genuine request.
func (s *sweep) ignored(got imprint) bool {
	s.tb.Helper()
	if s.own == nil {
		s.own = &twins{}
		for i := range s.own {
			w := s.newWorld()
			s.own[i] = imprintOf(w.genuinely(w.genuine()), w.tenant.ids()...)
			w.close()
		}
	}
	return s.own.unlike(got) == ""
}

// compare asks for an id that exists nowhere too. If the answers differ, it asks on
// fresh servers, one for each request, so that nothing done before is the reason.
func (s *sweep) compare(v variant, got reply, changes bool) {
	s.tb.Helper()
	if len(s.found.told) >= most {
		return
	}
	if !changes {
		none, ok := s.send(s.now, v, s.now.nowhere(v.kind))
		if !ok || (twins{none.imprint, none.imprint}).unlike(got.imprint) == "" {
			if ok && none.status < 400 && !isSafe(none.method) {
				s.retire()
			}
			return
		}
		if none.status < 400 && !isSafe(none.method) {
			s.retire()
		}
	}
	text := s.confirm(v)
	if text != "" {
		text = s.confirm(v) // what is random in both may have been alike by chance
	}
	if text != "" {
		s.found.told = append(s.found.told, s.says(v, text))
	}
}

// confirm says how the answers differ, each the first on its server. That for the
// victim's id comes between the others: what time has changed is different in those too.
func (s *sweep) confirm(v variant) string {
	s.tb.Helper()
	var fresh [3]imprint
	for i := range fresh {
		w := s.newWorld()
		id := w.nowhere(v.kind)
		if i == 1 {
			id = w.victim.IDs[v.kind][v.nth]
		}
		one, ok := s.send(w, v, id)
		w.close()
		if !ok {
			return ""
		}
		fresh[i] = one.imprint
	}
	return twins{fresh[0], fresh[2]}.unlike(fresh[1])
}

// says is a finding: who, where, how and what.
func (s *sweep) says(v variant, text string) string {
	who := s.tenants[s.attacker].Name
	if s.user > 0 {
		who = fmt.Sprintf("%s, user %d", who, s.user+1)
	}
	return fmt.Sprintf("tenant %s: %s: %s", who, v, text)
}

// reads is what the victim reads, each twice.
func (w *world) reads() (all []twins) {
	w.tb.Helper()
	victim := asker{w.trial, w.victim, w.owner}
	for _, r := range w.suite.Routes {
		if method, _ := r.line(); method == http.MethodGet && !r.Public && r.Sign == nil {
			both := twins{}
			for i := range both {
				both[i] = imprintOf(victim.read(&r))
			}
			all = append(all, both)
		}
	}
	return all
}

// read asks for another route than that of the trial.
func (a asker) read(r *Route) answer {
	a.tb.Helper()
	here := *a.trial
	here.declared, here.route = r, r.filled(a.tenant, a.tenant.own)
	got := asker{&here, a.tenant, a.user}
	answer := got.genuinely(got.draftAs(here.route, a.user))
	a.sent = here.sent
	return answer
}

// retire ends the use of a server: what the victim reads must be as it was, and the
// attacker must see nothing of it.
func (s *sweep) retire() {
	s.tb.Helper()
	w := s.now
	if w == nil || w.closed {
		return
	}
	w.closed = true
	defer w.close()
	if len(s.found.changed) >= most {
		return
	}
	if text := s.damage(w); text != "" {
		s.found.changed = append(s.found.changed, s.blame(text))
	}
}

// damage says what has become of the victim's data.
func (s *sweep) damage(w *world) string {
	s.tb.Helper()
	if !w.used {
		return ""
	}
	at := 0
	victim := asker{w.trial, w.victim, w.owner}
	for _, r := range w.suite.Routes {
		if method, _ := r.line(); method != http.MethodGet || r.Public || r.Sign != nil {
			continue
		}
		after := imprintOf(victim.read(&r))
		if after.status == http.StatusTooManyRequests {
			s.found.limited = append(s.found.limited, r.Pattern+": 429 to the reader of "+w.victim.Name)
			return ""
		}
		if text := w.before[at].unlike(after); text != "" {
			return fmt.Sprintf("%s of tenant %s has changed: %s", r.Pattern, w.victim.Name, text)
		}
		// Ids alone may be there: whoever writes one into a row of his own can read it.
		if text := w.seenOf(w.victim, w.victim.Canaries, "", w.read(&r)); text != "" {
			return fmt.Sprintf("%s then answers %s", r.Pattern, text)
		}
		at++
	}
	return ""
}

// blame finds the request that did the damage, each on a server of its own.
func (s *sweep) blame(text string) string {
	s.tb.Helper()
	for _, v := range s.tried {
		w := s.newWorld()
		w.before = w.reads()
		_, ok := s.send(w, v, w.victim.IDs[v.kind][v.nth])
		found := ""
		if ok {
			found = s.damage(w)
		}
		w.close()
		if found != "" {
			return s.says(v, found)
		}
	}
	return fmt.Sprintf("tenant %s: %d requests together: %s", s.tenants[s.attacker].Name, len(s.tried), text)
}
