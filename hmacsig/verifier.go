package hmacsig

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opsmantik/sallyport/internal/problem"
)

// Proof is what a verified request has proved.
type Proof struct {
	// KeyID is whose key signed: the site, the tenant. "" where the scheme has
	// none.
	KeyID string
	// Key is the name of the key in its Keyring, and Retiring whether that key
	// has an end.
	Key      string
	Retiring bool
	// Timestamp is when the message was signed; zero for untimed schemes.
	Timestamp time.Time
	// Nonce is the signed unique id, and Subject whom or what the message is
	// about, if the scheme has them.
	Nonce   string
	Subject string
	// Replay identifies the message, for applications that keep their own
	// record of it.
	Replay ReplayEntry

	claimed bool
}

// Verifier checks signatures. It is immutable and safe for concurrent use. The
// zero Verifier refuses everything with ReasonNotConfigured.
type Verifier struct {
	cfg      Config
	age      int64 // seconds
	ahead    int64
	decoys   [maxKeys]Key // nobody's: they pay for MACs that decide nothing
	problems map[Reason]*problem.Problem
	space    []byte // of nonces
	// width is the largest number of keys that any keyring had: every refusal
	// costs that many MACs, so that neither an unknown id nor a site that is
	// not rotating can be told by its time.
	width atomic.Int32
}

// New makes a Verifier. Every problem of the configuration is reported at
// once, each a *ConfigError.
func New(cfg Config) (*Verifier, error) {
	if err := cfg.problems(); err != nil {
		return nil, err
	}
	cfg.MaxBodyBytes = cfg.bodyLimit()
	if cfg.Scheme.Status == 0 {
		cfg.Scheme.Status = http.StatusUnauthorized
	}
	if cfg.Replay == nil && !cfg.DangerouslyAllowReplay {
		cfg.Replay = NewMemoryReplay(0)
	}
	v := &Verifier{
		cfg:      cfg,
		age:      int64(cfg.maxAge() / time.Second),
		ahead:    int64(cfg.maxAhead() / time.Second),
		problems: problems(cfg.Scheme.Status),
		space:    nonceSpace(cfg.Scheme.Name, cfg.Realm),
	}
	for i := range v.decoys {
		v.decoys[i] = Key{Name: "decoy", Secret: Generate()}
	}
	v.width.Store(1)
	return v, nil
}

// work is the scratch space of one verification. It keeps the body of a
// refused request for the next one to overwrite; an accepted one takes its
// body along.
type work struct {
	msg     Message
	base    []byte
	mac     []byte        // the last one made: the one that matched, if any did
	first   [macSize]byte // MAC under the first active key
	now     time.Time
	content content
}

var works = sync.Pool{New: func() any { return new(work) }}

// maxScratch keeps an unusually long URL from staying in the pool.
const maxScratch = 16 << 10

func (w *work) free() {
	w.content.drop()
	if cap(w.base) > maxScratch {
		return
	}
	w.msg.reset()
	w.base, w.mac = w.base[:0], w.mac[:0]
	works.Put(w)
}

// Check verifies r, claims it in the replay store and replaces r.Body by one
// that yields the bytes that were verified. The error is a *Rejection.
//
// The caller settles the claim: Confirm when the request's effect is done,
// Release when it failed and the sender may try again. Wrap does both.
func (v *Verifier) Check(r *http.Request) (Proof, error) {
	w, _ := works.Get().(*work)
	defer w.free()
	var proof Proof
	signer, rejection := v.verify(r, w)
	if rejection == nil {
		rejection = v.accept(r, w, signer, &proof)
	}
	v.report(r, &proof, rejection)
	if rejection != nil {
		return Proof{}, rejection
	}
	if !w.content.empty() {
		held := new(body)
		held.move(&w.content)
		held.restore(r)
	}
	return proof, nil
}

// report calls the hook.
func (v *Verifier) report(r *http.Request, proof *Proof, rejection *Rejection) {
	if v.cfg.OnDecision == nil {
		return
	}
	d := Decision{Rejection: rejection}
	if rejection == nil {
		d.Proof = *proof
	}
	told := false
	defer func() {
		if !told { // the hook panicked: no handler will settle this claim
			_ = v.Release(context.WithoutCancel(r.Context()), d.Proof)
		}
	}()
	v.cfg.OnDecision(r, d)
	told = true
}

// verify is everything up to the replay store, in the order of the package
// documentation. It returns the key that signed.
func (v *Verifier) verify(r *http.Request, w *work) (*Key, *Rejection) {
	if v.problems == nil {
		return nil, &Rejection{Reason: ReasonNotConfigured, Status: http.StatusServiceUnavailable}
	}
	m := &w.msg
	if err := v.cfg.Scheme.Read(r, m); err != nil {
		return nil, v.refuse(sortReadError(err), err)
	}
	if m.count == 0 || m.count > 1 && !v.cfg.Scheme.Several || len(m.KeyID) > maxKeyID {
		return nil, v.refuse(ReasonMalformed, ErrMalformed)
	}
	ring, err := v.cfg.Keys.Keys(r.Context(), m.KeyID)
	if err != nil {
		// Compared as it is first: what errors.Is costs would tell.
		if err != ErrUnknownKey && !errors.Is(err, ErrUnknownKey) {
			return nil, v.refuse(ReasonKeysUnavailable, err)
		}
		ring = Keyring{} // whatever came along with the error
	}
	if v.cfg.Scheme.Coverage == SignsBody {
		if rejection := v.readBody(r, &w.content); rejection != nil {
			return nil, rejection
		}
	}
	w.now = time.Now()
	w.base = v.cfg.Scheme.Base(w.base, r, m)
	signer := v.match(w, ring)
	if signer == nil {
		return nil, v.refuse(ReasonInvalid, err)
	}
	if rejection := v.checkTime(m, w.now); rejection != nil {
		return nil, rejection
	}
	if v.cfg.Scheme.Coverage == SignsDigest {
		if rejection := v.checkDigest(r, m, &w.content); rejection != nil {
			return nil, rejection
		}
	}
	return signer, nil
}

// accept writes down what has been proved and claims the message.
func (v *Verifier) accept(r *http.Request, w *work, signer *Key, p *Proof) *Rejection {
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
	signer, spent := v.try(w, keys)
	v.widen(spent)
	if signer != nil && known {
		return signer
	}
	for ; spent < v.width.Load(); spent++ {
		v.try(w, v.decoys[spent:spent+1])
	}
	return nil
}

// try returns the first active key that made one of the signatures, and how
// many MACs that took.
func (v *Verifier) try(w *work, keys []Key) (signer *Key, spent int32) {
	var signed *content
	if v.cfg.Scheme.Coverage == SignsBody {
		signed = &w.content
	}
	for i := range keys {
		k := &keys[i]
		if !k.active(w.now) {
			continue
		}
		w.mac = k.Secret.key().mac(w.mac[:0], w.base, signed)
		if spent == 0 {
			copy(w.first[:], w.mac)
		}
		spent++
		if w.msg.has(w.mac) {
			return k, spent
		}
	}
	return nil, spent
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

// checkTime holds the timestamp against the window. Both bounds are added to
// the present, which is small, so that no timestamp can overflow (time.Sub
// saturates instead and would call the year 292277026596 recent).
func (v *Verifier) checkTime(m *Message, now time.Time) *Rejection {
	unix := now.Unix()
	if open := v.cfg.Scheme.Open; open != nil {
		if err := open(m, now); err != nil {
			return v.refuse(sortOpenError(err), err)
		}
	}
	if !v.cfg.Scheme.Untimed {
		if m.Timestamp < unix-v.age {
			return v.refuse(ReasonExpired, nil)
		}
		if m.Timestamp > unix+v.ahead {
			return v.refuse(ReasonNotYetValid, nil)
		}
	}
	return nil
}

// checkDigest holds the body against its signed digest, or leaves that to the
// last Read of a body that is streamed.
func (v *Verifier) checkDigest(r *http.Request, m *Message, held *content) *Rejection {
	if v.cfg.DangerouslyStreamBody {
		if r.ContentLength > v.cfg.MaxBodyBytes {
			return v.refuse(ReasonBodyTooLarge, errBodyTooLarge)
		}
		held.stream(r, m.Digest, v.cfg.MaxBodyBytes)
		return nil
	}
	if rejection := v.readBody(r, held); rejection != nil {
		return rejection
	}
	if !held.hasDigest(m.Digest) {
		return v.refuse(ReasonDigest, nil)
	}
	return nil
}

// readBody takes the whole body, up to the limit.
func (v *Verifier) readBody(r *http.Request, held *content) *Rejection {
	if r.ContentLength > v.cfg.MaxBodyBytes {
		return v.refuse(ReasonBodyTooLarge, errBodyTooLarge)
	}
	err := held.take(r, &v.cfg)
	if err == nil {
		return nil
	}
	var outer *http.MaxBytesError // a limit further out
	switch {
	case errors.Is(err, errSpool):
		return v.refuse(ReasonSpool, err)
	case errors.Is(err, errBodyTooLarge) || errors.As(err, &outer):
		return v.refuse(ReasonBodyTooLarge, err)
	}
	return v.refuse(ReasonBodyUnreadable, err)
}

func (v *Verifier) refuse(reason Reason, cause error) *Rejection {
	return &Rejection{Reason: reason, Status: v.problems[reason].Status(), Err: cause}
}

func sortReadError(err error) Reason {
	if errors.Is(err, ErrMissing) {
		return ReasonMissing
	}
	return ReasonMalformed
}

func sortOpenError(err error) Reason {
	switch {
	case errors.Is(err, ErrExpired):
		return ReasonExpired
	case errors.Is(err, ErrNotYetValid):
		return ReasonNotYetValid
	case errors.Is(err, ErrClaims):
		return ReasonClaims
	}
	return ReasonMalformed
}
