package media

import (
	"time"

	"github.com/opsmantik/sallyport/hmacsig/ephemeral"
)

// revocations remembers what was revoked for as long as a token of before could come.
type revocations struct {
	life   time.Duration
	tokens map[string]time.Time // by jti, until when
	users  map[string]time.Time // by subject: tokens that end until then are void
}

// has reports whether a token is void.
func (r *revocations) has(session ephemeral.Session) bool {
	if _, ok := r.tokens[session.ID]; ok {
		return true
	}
	until, ok := r.users[session.Subject]
	// A token ends a lifetime after it was made, so one that was made before the
	// revocation, or in its second, ends by then.
	return ok && !session.Expires.After(until)
}

// add remembers a revocation, and forgets those that are over.
func (r *revocations) add(of map[string]time.Time, name string) {
	now := time.Now()
	for _, m := range []map[string]time.Time{r.tokens, r.users} {
		for name, until := range m {
			if now.After(until.Add(time.Minute)) { // the longest leeway
				delete(m, name)
			}
		}
	}
	of[name] = now.Add(r.life)
}

// RevokeToken ends the session that a token has opened, and the token.
func (s *Server) RevokeToken(id string) {
	s.mu.Lock()
	s.revoked.add(s.revoked.tokens, id)
	s.mu.Unlock()
	s.endAll(func(session ephemeral.Session) bool { return session.ID == id })
}

// RevokeUser ends all sessions of a user, and all tokens that were made for them so far.
// Tokens of later open sessions again: stop issuing them first.
func (s *Server) RevokeUser(subject string) {
	s.mu.Lock()
	s.revoked.add(s.revoked.users, subject)
	s.mu.Unlock()
	s.endAll(func(session ephemeral.Session) bool { return session.Subject == subject })
}

func (s *Server) endAll(match func(ephemeral.Session) bool) {
	for _, p := range s.matching(match) {
		p.end(CodeRevoked, nil)
	}
}
