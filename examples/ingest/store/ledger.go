package store

import (
	"fmt"
	"strings"

	"github.com/opsmantik/sallyport/audit"
)

// Ledger is what the audit log says that the tables hold. Note every entry, in order,
// and then check every row of the tables. Each error matches audit.ErrTampered, or says
// that an entry cannot be read.
type Ledger struct {
	status  map[string]string // of every call that somebody acted on
	actions map[int64]Action  // by their place in the log
}

// Action is what somebody did to a call, as the tables have it.
type Action struct{ Call, Site, Name, Actor, Previous string }

func tampered(format string, args ...any) error {
	return fmt.Errorf("store: %w: "+format, append([]any{audit.ErrTampered}, args...)...)
}

// Note takes an entry, its place in the log, and the site that it is listed under.
func (l *Ledger) Note(index int64, entry []byte, site string) error {
	said, err := audit.Parse(entry)
	if err != nil {
		return fmt.Errorf("store: audit entry %d: %w", index, err)
	}
	if said.Tenant != site {
		return tampered("audit entry %d is filed under another site", index)
	}
	name, isCall := strings.CutPrefix(said.Action, "calls.")
	if !isCall {
		return nil
	}
	if l.status == nil {
		l.status, l.actions = map[string]string{}, map[int64]Action{}
	}
	done := Action{Call: said.Target.ID, Site: site, Name: name, Actor: said.Actor.ID}
	for _, field := range said.Fields {
		switch field.Name {
		case "from":
			done.Previous = field.Value
		case "to":
			l.status[done.Call] = field.Value
		}
	}
	l.actions[index] = done
	return nil
}

// CheckCall checks a call: one that nobody acted on is an intent, every other one is
// where the last action on record left it.
func (l *Ledger) CheckCall(id, status string) error {
	want, acted := l.status[id]
	if !acted {
		want = Intent
	}
	if status != want {
		return tampered("call %s is %s and on record as %s", id, status, want)
	}
	delete(l.status, id)
	return nil
}

// CheckAction checks a row of a table of actions.
func (l *Ledger) CheckAction(index int64, row Action) error {
	if l.actions[index] != row {
		return tampered("row %d of call_actions is not what was recorded", index)
	}
	delete(l.actions, index)
	return nil
}

// NoCallLeft checks, after all calls, that none is on record and gone.
func (l *Ledger) NoCallLeft() error {
	for id := range l.status {
		return tampered("call %s is on record and gone", id)
	}
	return nil
}

// NoActionLeft checks the same of actions.
func (l *Ledger) NoActionLeft() error {
	if len(l.actions) > 0 {
		return tampered("%d recorded actions are gone from call_actions", len(l.actions))
	}
	return nil
}
