package gatetest

import (
	"net/http"
	"slices"
	"strings"
)

// attack is one thing to try on a route.
type attack struct {
	name, gate string
	fix        string
	late       bool // after all that is not
	applies    func(*Suite, *Route) bool
	// run returns what came back that should not have, once for each.
	run func(*trial) []string
}

// attacks returns all of them, in the order in which they are tried.
func attacks() []attack {
	return slices.Concat(
		[]attack{genuineAttack()}, originAttacks(), signatureAttacks(), accessAttacks(),
		sessionAttacks(), bodyAttacks(), leakAttacks(), isolationAttacks(), floodAttacks(),
	)
}

// genuineAttack makes sure that the other attacks prove something: a route that
// refuses everybody refuses every attack.
func genuineAttack() attack {
	return attack{
		name: "genuine request", gate: "handler",
		fix:     "declare the request as a real client sends it, or Route.Status",
		applies: func(*Suite, *Route) bool { return true },
		run: func(t *trial) []string {
			if got := t.genuine(t.draft()); !t.accepted(got) {
				return []string{got.String()}
			}
			return nil
		},
	}
}

// change is an attack that alters one thing of the genuine request, before or
// after it is signed, and has to be refused with one of the codes.
type change struct {
	name    string
	codes   []string
	applies func(*Suite, *Route) bool // nil: always
	before  func(*trial, *draft)
	after   func(*trial, *draft)
}

func (c change) attack(gate, fix string, applies func(*Suite, *Route) bool) attack {
	return attack{
		name: c.name, gate: gate, fix: fix,
		applies: func(s *Suite, r *Route) bool {
			return applies(s, r) && (c.applies == nil || c.applies(s, r))
		},
		run: func(t *trial) []string {
			d := t.draft()
			if c.before != nil {
				c.before(t, d)
			}
			t.sign(d)
			if c.after != nil {
				c.after(t, d)
			}
			return t.mustRefuse(d.Request, c.codes)
		},
	}
}

// mustRefuse sends a request and says what is wrong with the answer, if it is not
// a refusal with one of the codes.
func (t *trial) mustRefuse(r *http.Request, codes []string) (wrong []string) {
	t.tb.Helper()
	got := t.send(r)
	if !t.refused(got, codes) {
		wrong = append(wrong, got.String()+", not "+oneOf(codes))
	}
	return wrong
}

// oneOf names the codes, or the first of many.
func oneOf(codes []string) string {
	if len(codes) > 3 {
		return codes[0] + " or another of its kind"
	}
	return strings.Join(codes, " or ")
}
