package hmacsig

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/refusal"
)

// retryAfter is what a sender is told to wait where waiting may help.
const retryAfter = 5 * time.Second

// Proof is what a verified request has proved.
type Proof struct {
	// KeyID is whose key signed: the site, the tenant. "" where the scheme has
	// none.
	KeyID string
	// Key is the name of the key in its Keyring, and Retiring whether that key
	// has an end.
	Key      string
	Retiring bool
	claimed  bool
	// Timestamp is when the message was signed; zero for untimed schemes.
	Timestamp time.Time
	// Nonce is the signed unique id, and Subject whom or what the message is
	// about, if the scheme has them.
	Nonce   string
	Subject string
	// Replay identifies the message, for applications that keep their own
	// record of it.
	Replay ReplayEntry
}

// Verifier checks signatures. It is immutable and safe for concurrent use. The
// zero Verifier and nil refuse everything with CodeNotConfigured.
type Verifier struct {
	cfg    Config
	age    int64 // seconds
	ahead  int64
	decoys [maxKeys]Key // nobody's: they pay for MACs that decide nothing
	table  *refusal.Table
	space  []byte // what nonces are hashed under
	// width is the largest number of keys that any keyring had: every refusal
	// costs that many MACs, so that neither an unknown id nor a site that is
	// not rotating can be told by its time.
	width atomic.Int32
}

// New makes a Verifier. Every problem of the configuration is reported at
// once, each a *sallyport.ConfigError.
func New(cfg Config) (*Verifier, error) {
	if err := cfg.problems(); err != nil {
		return nil, err
	}
	cfg.MaxBodyBytes = cfg.bodyLimit()
	if cfg.Scheme.Status == 0 {
		cfg.Scheme.Status = http.StatusUnauthorized
	}
	if cfg.Scheme.Challenge == "" {
		cfg.Scheme.Challenge = `Signature scheme="` + cfg.Scheme.Name + `"`
	}
	if cfg.Replay == nil && !cfg.DangerouslyAllowReplay {
		replay, err := NewMemoryReplay(MemoryConfig{})
		if err != nil {
			return nil, err
		}
		cfg.Replay = replay
	}
	v := &Verifier{
		cfg:   cfg,
		age:   int64(cfg.maxAge() / time.Second),
		ahead: int64(cfg.maxAhead() / time.Second),
		table: refusal.NewTable(gateName, cfg.ProblemBase, kinds(cfg.Scheme.Status)...),
		space: nonceSpace(cfg.Scheme.Name),
	}
	for i := range v.decoys {
		v.decoys[i] = Key{Name: "decoy", Secret: Generate()}
	}
	v.width.Store(1)
	return v, nil
}

// work is the scratch space of one verification. It keeps the body of an
// accepted request until its handler has returned.
type work struct {
	msg Message
	// text is what is signed: what stands ahead of the body, the body in schemes
	// that sign it, and what stands after it. In SignsDigest schemes the body
	// follows what was signed.
	text     []byte
	from, to int           // the body in text
	at       int           // how far the handler has read it
	full     bool          // there is one
	mac      []byte        // the last one made: the one that matched, if any did
	first    [macSize]byte // MAC under the first active key
	spent    int32         // how many MACs were made
	now      time.Time
}

var works = sync.Pool{New: func() any { return new(work) }}

func (w *work) free() {
	if cap(w.text) > maxPooled {
		w.text = nil
	}
	w.msg.reset()
	w.text, w.mac, w.spent, w.full = w.text[:0], w.mac[:0], 0, false
	works.Put(w)
}

// Check verifies r, claims it in the replay store and replaces r.Body by one
// that yields the bytes that were verified. The error is a *sallyport.Refusal.
//
// The caller settles the claim: Confirm when the request's effect is done,
// Release when it failed and the sender may try again. Wrap does both.
func (v *Verifier) Check(r *http.Request) (Proof, error) {
	w, _ := works.Get().(*work)
	var proof Proof
	signer, refused := v.verify(r, w)
	if refused == nil {
		refused = v.accept(r, w, signer, &proof)
	}
	v.report(r, w, &proof, refused)
	if refused != nil {
		w.free()
		return Proof{}, refused
	}
	new(body).keep(w, r)
	return proof, nil
}

// report hands the decision to the hook.
func (v *Verifier) report(r *http.Request, w *work, proof *Proof, refused *sallyport.Refusal) {
	if v == nil || v.cfg.OnEvent == nil {
		return
	}
	e := sallyport.Event{
		Gate: gateName, Policy: v.cfg.Scheme.Name, Tenant: w.msg.KeyID, Request: r,
	}
	if refused != nil {
		e.Code, e.Err = refused.Code, refused.Err
		v.cfg.OnEvent(r.Context(), e)
		return
	}
	e.Code, e.Allowed, e.Actor, e.Detail = CodeSignatureVerified, true, proof.Subject, *proof
	told := false
	defer func() {
		if !told { // the hook panicked: no handler will settle this claim
			_ = v.Release(context.WithoutCancel(r.Context()), *proof)
		}
	}()
	v.cfg.OnEvent(r.Context(), e)
	told = true
}

// verify is everything up to the replay store, in the order of the package
// documentation. It returns the key that signed.
func (v *Verifier) verify(r *http.Request, w *work) (*Key, *sallyport.Refusal) {
	if v == nil || v.table == nil {
		return nil, notConfigured.Refusal(gateName, errNoVerifier)
	}
	m := &w.msg
	if err := v.cfg.Scheme.Read(r, m); err != nil {
		return nil, v.refuse(faultCode(err), err)
	}
	if m.count == 0 || m.count > 1 && !v.cfg.Scheme.Several || len(m.KeyID) > maxKeyID {
		return nil, v.refuse(CodeSignatureMalformed, malformed)
	}
	ring, err := v.cfg.Keys.Keys(r.Context(), m.KeyID)
	if err != nil {
		// Compared as it is first: what errors.Is costs would tell.
		if err != ErrUnknownKey && !errors.Is(err, ErrUnknownKey) {
			return nil, v.refuse(CodeKeysUnavailable, err)
		}
		ring = Keyring{} // whatever came along with the error
	}
	w.text = v.cfg.Scheme.Base(w.text, r, m)
	if v.cfg.Scheme.signsBody() {
		if err := w.takeBody(r, v.cfg.MaxBodyBytes); err != nil {
			return nil, v.refuse(bodyCode(err), err)
		}
		if v.cfg.Scheme.Tail != nil {
			w.text = v.cfg.Scheme.Tail(w.text, r, m)
		}
	}
	w.now = time.Now()
	signer := v.match(w, ring)
	if signer == nil {
		return nil, v.refuse(CodeSignatureInvalid, err)
	}
	if code, err := v.checkTime(m, w.now.Unix(), w.now); code != "" {
		return nil, v.refuse(code, err)
	}
	if v.cfg.Scheme.SignsDigest {
		if err := w.takeBody(r, v.cfg.MaxBodyBytes); err != nil {
			return nil, v.refuse(bodyCode(err), err)
		}
		if !w.hasDigest(&m.Digest) {
			return nil, v.refuse(CodeBodyDigest, nil)
		}
	}
	return signer, nil
}

// accept writes down what has been proved and claims the message.
func (v *Verifier) accept(
	r *http.Request, w *work, signer *Key, p *Proof,
) *sallyport.Refusal {
	v.prove(w, signer, p)
	return v.claim(r, p)
}

// match returns the active key that made one of the signatures. An unknown id
// takes the same way with a key that is nobody's, and a refusal costs as many
// MACs as the largest keyring has keys.
func (v *Verifier) match(w *work, ring Keyring) *Key {
	keys, known := ring.keys, len(ring.keys) > 0
	if !known {
		keys = v.decoys[:1]
	}
	signer := v.try(w, keys)
	v.widen(w.spent)
	if signer != nil && known {
		return signer
	}
	for w.spent < v.width.Load() {
		v.try(w, v.decoys[w.spent:w.spent+1])
	}
	return nil
}

// try returns the first active key that made one of the signatures.
func (v *Verifier) try(w *work, keys []Key) *Key {
	for i := range keys {
		k := &keys[i]
		if !k.active(w.now) {
			continue
		}
		w.mac = k.Secret.key().mac(w.mac[:0], w.text)
		if w.spent == 0 {
			copy(w.first[:], w.mac)
		}
		w.spent++
		if w.msg.has(w.mac) {
			return k
		}
	}
	return nil
}

func (v *Verifier) widen(keys int32) {
	for {
		width := v.width.Load()
		if keys <= width || v.width.CompareAndSwap(width, keys) {
			return
		}
	}
}

// has compares every signature of the message, without stopping early.
func (m *Message) has(mac []byte) bool {
	found := 0
	for i := range m.count {
		found |= subtle.ConstantTimeCompare(m.macs[i][:], mac)
	}
	return found == 1
}

// checkTime holds the message against the window and against the end that it
// names itself. All bounds are added to the present, which is small, so that no
// timestamp can overflow (time.Sub saturates instead and would call the year
// 292277026596 recent).
func (v *Verifier) checkTime(m *Message, unix int64, now time.Time) (code string, err error) {
	if open := v.cfg.Scheme.Open; open != nil {
		if err := open(m, now); err != nil {
			return faultCode(err), err
		}
	}
	if !v.cfg.Scheme.Untimed {
		switch {
		case m.Timestamp < unix-v.age:
			return CodeSignatureExpired, nil
		case m.Timestamp > unix+v.ahead:
			return CodeSignatureNotYetValid, nil
		}
	}
	switch {
	case m.Expires == 0:
	case m.Expires <= unix:
		return CodeSignatureExpired, nil
	case m.Expires > unix+int64(maxWindow/time.Second):
		// No record of it is kept for so long, so it could be used again.
		return CodeSignatureClaims, errTooLong
	}
	return "", nil
}

func (v *Verifier) refuse(code string, cause error) *sallyport.Refusal {
	refused := v.table.New(code, cause)
	switch refused.Status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		refused.RetryAfter = retryAfter
	case http.StatusUnauthorized:
		refused.Challenge = v.cfg.Scheme.Challenge
	}
	return refused
}
