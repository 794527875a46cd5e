package rls

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Plan tells the prover what it cannot find out by itself. Only Role is required.
type Plan struct {
	// Role is the application's role, whose reach is attacked.
	Role string
	// A and B are the two tenants, and a user of each. Values are written as the
	// columns' types read them. Default: "sallyport-a" and "user-a", or UUIDs where a
	// column is one.
	A, B Tenant
	// Mixed is a user who is a member of both tenants, and Nobody one of none.
	Mixed, Nobody string
	// Key seals the scopes, if the database has sallyport.scope(). Enter replaces that:
	// it returns the settings by which a request of a user on a site is known, as in
	// {"request.jwt.claims", `{"sub":"..."}`}.
	Key   []byte
	Enter func(site, user string) []Setting
	// Tenant and User name the columns that hold the tenant and the user, for tables
	// whose columns have unusual names: {"app.calls": "shop"}.
	Tenant, User map[string]string
	// Values are the values of columns that the prover cannot invent, as text:
	// {"app.calls.kind": "inbound"}.
	Values map[string]string
	// Public are the objects that everybody may read, each with the reason.
	Public map[string]string
	// Progress, if set, is called before each object.
	Progress func(done, all int, object string)
}

// Tenant is one side of an attack.
type Tenant struct{ Site, User string }

// Setting is one set_config of a scope.
type Setting struct{ Name, Value string }

// Outcome is what was found about an object.
type Outcome string

// The outcomes.
const (
	// Proven: its own rows were seen, every attack ran, and none reached another's.
	Proven Outcome = "PROVEN"
	// Leak: Attack is the statement that reached rows of another tenant.
	Leak Outcome = "LEAK"
	// Public: it leaks, and the plan says that it may.
	Public Outcome = "PUBLIC"
	// Unverified: an attack could not run, or there was nothing to see. An error is
	// not isolation.
	Unverified Outcome = "UNVERIFIED"
)

// Verdict is what was found about one relation or function.
type Verdict struct {
	Object  string
	Outcome Outcome
	Reason  string
	Attack  string // of a leak: who ran what
}

// errUndo ends a nested transaction that must leave nothing behind.
var errUndo = errors.New("undo")

// Prove attacks every relation and function that the role can reach, as two tenants, a
// member of both and nobody, and returns a verdict on each. It needs a superuser, works
// in one transaction and rolls it back; other connections see nothing of it. Sequences
// move on, as they always do. Run it on a copy or a fresh schema, not under load: it
// holds the locks of what it writes.
func Prove(ctx context.Context, conn *pgx.Conn, plan Plan) ([]Verdict, error) {
	if plan.Role == "" {
		return nil, errors.New("rls: prove: Plan.Role is empty: name the application's role")
	}
	c, err := load(ctx, conn, plan.Role)
	if err != nil {
		return nil, fmt.Errorf("rls: prove: %w", err)
	}
	l := &linter{catalog: c, role: plan.Role}
	l.markIdentity()
	l.markAuthority()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("rls: prove: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // that is the point
	p := &prover{linter: l, plan: plan, tx: tx, forged: make([]byte, 32)}
	_, _ = rand.Read(p.forged)
	if err := p.prepare(ctx); err != nil {
		return nil, fmt.Errorf("rls: prove: %w", err)
	}
	verdicts, err := p.attackAll(ctx)
	if err != nil {
		return nil, fmt.Errorf("rls: prove: %w", err)
	}
	slices.SortFunc(verdicts, func(a, b Verdict) int { return cmp.Compare(a.Object, b.Object) })
	return verdicts, nil
}

// prover is one run.
type prover struct {
	*linter
	plan     Plan
	tx       pgx.Tx
	forged   []byte // a key that the database does not know
	seeds    map[uint32]*seed
	subjects []subject
}

// subject is who attacks: what it may see is its own tenant's.
type subject struct {
	name       string
	site, user string
	scoped     bool
	sees       []string // tenants whose rows are its own: "a", "b"
}

func (p *prover) prepare(ctx context.Context) error {
	if err := p.fill(ctx); err != nil {
		return err
	}
	p.subjects = []subject{
		{"A", p.plan.A.Site, p.plan.A.User, true, []string{"a"}},
		{"B", p.plan.B.Site, p.plan.B.User, true, []string{"b"}},
		{"mixed", p.plan.A.Site, p.plan.Mixed, true, []string{"a", "b"}},
		{"A's admin", p.plan.A.Site, p.boss(), true, []string{"a"}},
		{"nobody", p.plan.A.Site, p.plan.Nobody, true, nil},
		{"no scope", "", "", false, nil},
	}
	if p.plan.Enter == nil {
		// A sealed scope is made by tenancy, which gives nobody one.
		p.subjects = slices.DeleteFunc(p.subjects, func(s subject) bool { return s.name == "nobody" })
	}
	return p.seedAll(ctx)
}

var uuidText = regexp.MustCompile(`^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$`)

// boss is a user of tenant A with whatever role policies open doors to.
func (p *prover) boss() string {
	if uuidText.MatchString(p.plan.A.User) {
		return invent("uuid", "e1")
	}
	return p.plan.A.User + "9"
}

// undone runs fn in a nested transaction that leaves nothing behind.
func (p *prover) undone(ctx context.Context, fn func(tx pgx.Tx) error) error {
	err := pgx.BeginFunc(ctx, p.tx, func(tx pgx.Tx) error {
		if err := fn(tx); err != nil {
			return err
		}
		return errUndo
	})
	if errors.Is(err, errUndo) {
		return nil
	}
	return err
}

// enter makes the transaction look like one of the subject's requests.
func (p *prover) enter(ctx context.Context, tx pgx.Tx, s subject) error {
	if s.scoped {
		for _, setting := range p.settings(s.site, s.user, p.plan.Key) {
			_, err := tx.Exec(ctx, `select set_config($1, $2, true)`, setting.Name, setting.Value)
			if err != nil {
				return err
			}
		}
	}
	_, err := tx.Exec(ctx, "set local role "+pgx.Identifier{p.plan.Role}.Sanitize())
	return err
}

func (p *prover) settings(site, user string, key []byte) []Setting {
	if p.plan.Enter != nil {
		return p.plan.Enter(site, user)
	}
	return []Setting{{
		"sallyport.scope", newSealer(key).seal(site, user, time.Now().Add(time.Hour), 0),
	}}
}

func (p *prover) attackAll(ctx context.Context) ([]Verdict, error) {
	var objects []*relation
	for _, r := range p.relations {
		if r.reachable() && !strings.HasPrefix(r.name, "sallyport.") {
			objects = append(objects, r)
		}
	}
	slices.SortFunc(objects, func(a, b *relation) int { return cmp.Compare(a.name, b.name) })
	var functions []*function
	for _, f := range p.functions {
		if f.executable && !strings.HasPrefix(f.call, "sallyport.") {
			functions = append(functions, f)
		}
	}
	var verdicts []Verdict
	all := len(objects) + len(functions)
	for i, r := range objects {
		p.progress(i, all, r.name)
		v, err := p.judge(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
		verdicts = append(verdicts, v)
	}
	for i, f := range functions {
		p.progress(len(objects)+i, all, f.name)
		v, err := p.judgeCall(ctx, f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		verdicts = append(verdicts, v)
	}
	p.progress(all, all, "")
	return verdicts, ctx.Err()
}

func (p *prover) progress(done, all int, object string) {
	if p.plan.Progress != nil {
		p.plan.Progress(done, all, object)
	}
}

// trial collects what the attacks on one object came to.
type trial struct {
	object   string
	leak     string   // the first attack that got through
	injected string   // the first that needs SQL of the attacker's own in a query
	failures []string // attacks that did not run, with the reason
	seen     map[string]bool
	markers  bool // ids prove nothing: they stood in the question
}

func (t *trial) reached(s subject, sql, what string) {
	if t.leak == "" {
		t.leak = fmt.Sprintf("%s: %s (%s)", s.name, sql, what)
	}
}

func (t *trial) failed(s subject, sql string, err error) {
	if len(t.failures) < 3 {
		t.failures = append(t.failures, fmt.Sprintf("%s: %s: %v", s.name, sql, err))
	}
}

// add takes over what another trial of the same object found.
func (t *trial) add(other *trial) {
	t.leak = cmp.Or(t.leak, other.leak)
	t.failures = append(t.failures, other.failures...)
}

func (t *trial) verdict(p *prover, controls []string) Verdict {
	v := Verdict{Object: t.object, Outcome: Proven}
	for _, tenant := range controls {
		if !t.seen[tenant] {
			v.Outcome = Unverified
			v.Reason = "no control: tenant " + tenant + " does not see its own rows"
		}
	}
	if len(t.failures) > 0 {
		v.Outcome, v.Reason = Unverified, "not every attack ran: "+strings.Join(t.failures, "; ")
	}
	switch {
	case t.leak != "":
		v.Outcome, v.Reason, v.Attack = Leak, "rows of another tenant were reached", t.leak
	case t.injected != "":
		v.Outcome, v.Attack = Leak, t.injected
		v.Reason = "rows of another tenant were reached by injected SQL: who asks is not sealed"
	}
	if v.Outcome == Leak {
		if reason, ok := p.plan.Public[t.object]; ok {
			v.Outcome, v.Reason = Public, reason
		}
	}
	return v
}
