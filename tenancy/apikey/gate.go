package apikey

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/refusal"
)

// Gate checks, makes and ends keys. It is immutable and safe for concurrent use. The
// zero value, and nil, refuse everything with 503.
type Gate struct {
	cfg      Config
	header   string // canonical
	refusals *refusal.Table
}

// New returns a gate, or every problem of cfg at once.
func New(cfg Config) (*Gate, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	header := cfg.Header
	if header == "" {
		header = "Authorization"
	}
	return &Gate{
		cfg: cfg, header: http.CanonicalHeaderKey(header),
		refusals: refusal.NewTable(gateName, cfg.ProblemBase, kinds()...),
	}, nil
}

func (g *Gate) configured() bool { return g != nil && g.refusals != nil }

// Check decides on the key of a request, notes its use, and renders nothing. The order
// is from cheap to dear: the form, which refuses what is mistyped, cut or made up; the
// store; the clock.
//
// It returns who acts with the key: a Principal of KindKey with the
// scopes of the key, good for tenancy.Config.Identify. The error is a
// *[sallyport.Refusal]; those that mean "nobody" match tenancy.ErrUnauthenticated.
func (g *Gate) Check(r *http.Request) (sallyport.Principal, error) {
	who, refused := g.check(r)
	if refused != nil {
		return sallyport.Principal{}, refused
	}
	return who, nil
}

// Wrap refuses requests without a good key; the handler finds its principal with
// [FromContext].
func (g *Gate) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, refused := g.check(r)
		if refused != nil {
			g.answer(w, r, refused)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, who)))
	})
}

type contextKey struct{}

// FromContext returns the principal that [Gate.Wrap] put there.
func FromContext(ctx context.Context) (sallyport.Principal, bool) {
	who, ok := ctx.Value(contextKey{}).(sallyport.Principal)
	return who, ok
}

func (g *Gate) answer(w http.ResponseWriter, r *http.Request, refused *sallyport.Refusal) {
	if !g.configured() {
		refused.Write(w)
		return
	}
	g.refusals.Answer(w, r, refused, g.cfg.OnReject)
}

func (g *Gate) check(r *http.Request) (sallyport.Principal, *sallyport.Refusal) {
	if !g.configured() {
		return sallyport.Principal{}, g.refuse(CodeNotConfigured, nil)
	}
	var record Record
	key, code, err := g.read(r.Header)
	if err == nil {
		code, err = g.find(r.Context(), key, &record)
	}
	if code == CodeAccepted && g.cfg.OnEvent == nil {
		return principal(&record), nil
	}
	if refused := g.settle(r.Context(), r, code, err, record); refused != nil {
		return sallyport.Principal{}, refused
	}
	return principal(&record), nil
}

// read takes the key out of the header, or says what is wrong with it.
func (g *Gate) read(h http.Header) (key, code string, err error) {
	values := h[g.header]
	switch {
	case len(values) == 0:
		return "", CodeRequired, errNone
	case len(values) > 1: // two readers may read different ones
		return "", CodeMalformed, errTwo
	case g.cfg.Header != "":
		return values[0], "", nil
	}
	scheme, key, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") { // somebody else's
		return "", CodeRequired, errNone
	}
	return key, "", nil
}

var errStore = errors.New("apikey: the store returned another key")

// find decides on a key. It returns CodeAccepted or the code of a refusal; an error
// beside CodeAccepted is a failure to note the use.
func (g *Gate) find(ctx context.Context, key string, record *Record) (code string, err error) {
	if !wellFormed(g.cfg.Prefix, key) {
		return CodeMalformed, errForm
	}
	hash := Hash(key)
	began := time.Now()
	within := &deadline{Context: ctx, began: began, limit: g.cfg.Timeout}
	defer within.stop()
	*record, err = g.cfg.Store.Find(within, hash)
	switch {
	case errors.Is(err, ErrNotFound):
		code, err = CodeUnknown, errUnknown
	case err != nil:
		code = CodeUnavailable
	// A store that compares loosely (a collation, a prefix) must not let a neighbour
	// in. In constant time, although a hash is no secret: nobody has to think about it.
	case subtle.ConstantTimeCompare(record.Hash[:], hash[:]) != 1 || record.User == "" ||
		record.ID == "":
		code, err = CodeUnavailable, errStore
	}
	if err != nil {
		*record = Record{} // of nobody's
		return code, err
	}
	now := began
	if !g.lasting(record, began) {
		now = began.Add(time.Since(began)) // half as dear as time.Now again
		if code, err := g.judge(record, now); code != CodeAccepted {
			return code, err
		}
	}
	if now.Sub(record.LastUsed) >= g.cfg.TouchEvery {
		err = g.cfg.Store.Touch(within, record.ID, now.UTC())
	}
	return CodeAccepted, err
}

// lasting reports whether a key is good for another hour, so that it is good whenever the
// store has answered: a look at the clock is a fifth of what the gate costs. What ends
// sooner is judged by the time after the answer.
func (g *Gate) lasting(r *Record, began time.Time) bool {
	code, _ := g.judge(r, began.Add(time.Hour))
	return code == CodeAccepted
}

// judge decides by the clock. The ends of a key are moments of the wall clock, because
// other processes and other days have to agree on them.
func (g *Gate) judge(r *Record, now time.Time) (string, error) {
	switch {
	case !r.Revoked.IsZero() && !now.Before(r.Revoked):
		return CodeUnknown, errRevoked
	case !now.Before(r.Expires) || now.Sub(r.Created) >= g.cfg.MaxAge:
		return CodeExpired, errExpired
	}
	return CodeAccepted, nil
}

// principal is who acts with a key: its user, within its scopes. The key was made, and
// its user authenticated, at Created.
func principal(r *Record) sallyport.Principal {
	return sallyport.Principal{
		Kind: sallyport.KindKey, ID: r.User, Key: r.ID, Scopes: r.Scopes,
		Level: sallyport.AAL1, AuthTime: r.Created,
	}
}

// settle reports a decision, and makes the refusal if it is one.
func (g *Gate) settle(
	ctx context.Context, r *http.Request, code string, err error, record Record,
) *sallyport.Refusal {
	allowed := code == CodeAccepted
	if g.cfg.OnEvent != nil {
		e := sallyport.Event{
			Gate: gateName, Code: code, Allowed: allowed, Actor: record.User, Request: r, Err: err,
		}
		if record.ID != "" {
			e.Detail = record.public()
		}
		g.cfg.OnEvent(ctx, e)
	}
	if allowed {
		return nil
	}
	return g.refuse(code, err)
}
