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
	// Nonce is the signed unique id, if the scheme has one.
	Nonce string
	// ReplayKey identifies the message until Expires, for applications that
	// keep their own record of it.
	ReplayKey ReplayKey
	Expires   time.Time

	claimed bool
}

// Verifier checks signatures. It is immutable and safe for concurrent use. The
// zero Verifier refuses everything with ReasonNotConfigured.
type Verifier struct {
	cfg      Config
	age      int64 // seconds
	ahead    int64
	decoy    key
	problems map[Reason]*problem.Problem
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
	}
	decoy := Generate()
	v.decoy.raw = decoy.key.raw
	v.decoy.states.New = decoy.key.states.New
	v.width.Store(1)
	return v, nil
}

// work is the scratch space of one verification.
type work struct {
	msg     Message
	base    []byte
	scratch []byte
	mac     []byte
	first   [macSize]byte // MAC under the first active key
}

var works = sync.Pool{New: func() any { return new(work) }}

// maxScratch keeps an unusually long URL from staying in the pool.
const maxScratch = 16 << 10

func (w *work) free() {
	if cap(w.base) > maxScratch {
		return
	}
	w.msg = Message{}
	w.base, w.scratch, w.mac = w.base[:0], w.scratch[:0], w.mac[:0]
	works.Put(w)
}

// Check verifies r, claims it in the replay store and replaces r.Body by one
// that yields the bytes that were verified. The error is a *Rejection.
//
// The caller settles the claim: Confirm when the request's effect is done,
// Release when it failed and the sender may try again. Wrap does both.
func (v *Verifier) Check(r *http.Request) (Proof, error) {
	held := new(body)
	proof, rejection := v.check(r, held)
	if v.cfg.OnDecision != nil {
		v.cfg.OnDecision(r, Decision{Proof: proof, Rejection: rejection})
	}
	if rejection != nil {
		_ = held.Close()
		return Proof{}, rejection
	}
	held.restore(r)
	return proof, nil
}

// check is the whole decision, in the order of the package documentation.
func (v *Verifier) check(r *http.Request, held *body) (Proof, *Rejection) {
	if v.problems == nil {
		return Proof{}, &Rejection{Reason: ReasonNotConfigured, Status: http.StatusServiceUnavailable}
	}
	w, _ := works.Get().(*work)
	defer w.free()
	m := &w.msg

	if err := v.cfg.Scheme.Read(r, m); err != nil {
		return Proof{}, v.refuse(sortReadError(err), err)
	}
	if m.count == 0 || len(m.KeyID) > maxKeyID {
		return Proof{}, v.refuse(ReasonMalformed, ErrMalformed)
	}
	ring, err := v.cfg.Keys.Keys(r.Context(), m.KeyID)
	if err != nil && !errors.Is(err, ErrUnknownKey) {
		return Proof{}, v.refuse(ReasonKeysUnavailable, err)
	}
	now := time.Now()
	if v.cfg.Scheme.Coverage == SignsBody {
		if rejection := v.readBody(r, held); rejection != nil {
			return Proof{}, rejection
		}
	}
	w.base = v.cfg.Scheme.Base(w.base, r, m)
	signer := v.match(w, ring, now, held)
	if signer == nil {
		return Proof{}, v.refuse(ReasonInvalid, err)
	}
	if rejection := v.checkTime(m, now); rejection != nil {
		return Proof{}, rejection
	}
	if v.cfg.Scheme.Coverage == SignsDigest {
		if rejection := v.checkDigest(r, m, held); rejection != nil {
			return Proof{}, rejection
		}
	}
	return v.claim(r, w, signer)
}

// match returns the active key that made one of the signatures. It computes
// as many MACs for a refusal as the largest keyring costs.
func (v *Verifier) match(w *work, ring Keyring, now time.Time, held *body) *Key {
	spent := int32(0)
	for i := range ring.keys {
		k := &ring.keys[i]
		if !k.active(now) {
			continue
		}
		w.mac = k.Secret.key.mac(w.mac[:0], w.base, held)
		if spent == 0 {
			copy(w.first[:], w.mac)
		}
		spent++
		if w.msg.has(w.mac) {
			v.widen(spent)
			return k
		}
	}
	v.widen(spent)
	for ; spent < v.width.Load(); spent++ {
		w.mac = v.decoy.mac(w.mac[:0], w.base, held)
		w.msg.has(w.mac)
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
func (v *Verifier) checkDigest(r *http.Request, m *Message, held *body) *Rejection {
	if v.cfg.DangerouslyStreamBody {
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
func (v *Verifier) readBody(r *http.Request, held *body) *Rejection {
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

// claim makes the proof and takes the message in the replay store.
func (v *Verifier) claim(r *http.Request, w *work, signer *Key) (Proof, *Rejection) {
	m := &w.msg
	expires := m.Expires
	if expires == 0 {
		signedAt := m.Timestamp
		if v.cfg.Scheme.Untimed {
			signedAt = time.Now().Unix()
		}
		expires = signedAt + v.age
	}
	// The MAC under the first active key, whichever key matched: a message
	// that carries two signatures is one message, whichever of them a thief
	// leaves out.
	id := w.first[:]
	if m.Nonce != "" {
		w.scratch = append(w.scratch[:0], m.Nonce...)
		id = w.scratch
	}
	proof := Proof{
		KeyID:    m.KeyID,
		Key:      signer.Name,
		Retiring: !signer.NotAfter.IsZero(),
		Nonce:    m.Nonce,
		Expires:  time.Unix(expires+1, 0), // the last second counts whole
	}
	if !v.cfg.Scheme.Untimed || m.Timestamp != 0 {
		proof.Timestamp = time.Unix(m.Timestamp, 0)
	}
	proof.ReplayKey, w.base = replayKey(w.base[:0], v.cfg.Scheme.Name, m.KeyID, id)
	if v.cfg.Replay == nil {
		return proof, nil
	}
	state, err := v.cfg.Replay.Claim(r.Context(), proof.ReplayKey, proof.Expires)
	switch {
	case errors.Is(err, ErrReplayFull):
		return Proof{}, v.refuse(ReasonReplayFull, err)
	case err != nil:
		return Proof{}, v.refuse(ReasonReplayUnavailable, err)
	case state == Claimed:
		proof.claimed = true
		return proof, nil
	case state == Replayed:
		return Proof{}, v.refuse(ReasonReplayed, nil)
	case state == InFlight:
		return Proof{}, v.refuse(ReasonInFlight, nil)
	}
	return Proof{}, v.refuse(ReasonReplayUnavailable, nil)
}

// Confirm makes the claim of a Check final: the request has had its effect.
func (v *Verifier) Confirm(ctx context.Context, p Proof) error {
	if !p.claimed {
		return nil
	}
	return v.cfg.Replay.Confirm(ctx, p.ReplayKey)
}

// Release gives the claim of a Check up: the request had no effect, and the
// sender may send it again.
func (v *Verifier) Release(ctx context.Context, p Proof) error {
	if !p.claimed {
		return nil
	}
	return v.cfg.Replay.Release(ctx, p.ReplayKey)
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
