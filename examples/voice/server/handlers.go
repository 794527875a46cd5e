package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/voice/media"
	"github.com/opsmantik/sallyport/examples/voice/sdp"
	"github.com/opsmantik/sallyport/hmacsig"
	"github.com/opsmantik/sallyport/hmacsig/ephemeral"
	"github.com/opsmantik/sallyport/ratelimit"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/tenancy"
)

// maxJSON is the longest JSON body in bytes.
const maxJSON = 1024

// login signs a user of the demo in. A real server asks for more than a name.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	var body struct{ User string }
	if !s.readJSON(w, r, &body) {
		return
	}
	if _, ok := s.cfg.Members[body.User]; !ok {
		s.refuse(w, r, CodeUserUnknown, nil)
		return
	}
	who := sessions.Login{User: body.User, Level: sallyport.AAL1}
	if err := s.sessions.Start(r.Context(), who, struct{}{}); err != nil {
		s.refuse(w, r, CodeUnavailable, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// logout ends the session, and with it every call and every token of the user.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	session, ok := s.sessions.FromContext(r.Context())
	if err := s.sessions.Logout(r.Context()); err != nil || !ok {
		s.refuse(w, r, CodeUnavailable, err)
		return
	}
	s.rooms.RevokeUser(session.User)
	if s.turn != nil {
		s.turn.EndUser(session.User)
	}
	w.WriteHeader(http.StatusNoContent)
}

// token makes a token for the certificate whose fingerprint the page sends.
func (s *Server) token(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[JoinCall]) {
	if !s.limits.Answer(w, r, s.limits.Decide(r.Context(), ratelimit.Policy{
		Name: "tokens", Key: ratelimit.TextKey(grant.User()), Limit: ratelimit.PerMinute(5),
	})) {
		return
	}
	var body struct{ Fingerprint string }
	if !s.readJSON(w, r, &body) {
		return
	}
	certificate, err := parseFingerprint(body.Fingerprint)
	if err != nil {
		s.refuse(w, r, CodeBodyInvalid, err)
		return
	}
	session := ephemeral.Session{
		Site: grant.Site(), Room: r.PathValue("room"), Subject: grant.User(), Certificate: certificate,
	}
	token, err := s.issuer.Issue(session)
	if err != nil {
		s.refuse(w, r, CodeBodyInvalid, err)
		return
	}
	issued := sallyport.Event{
		Gate: gate, Code: CodeTokenIssued, Allowed: true, Tenant: session.Site, Actor: session.Subject,
		Request: r, Detail: &media.Decision{Session: session},
	}
	if err := s.record(r.Context(), issued); err != nil {
		s.refuse(w, r, CodeUnavailable, err)
		return
	}
	s.passOn(r.Context(), issued)
	answer := map[string]any{"token": token}
	if s.turn != nil {
		credentials, err := s.turn.Grant(session)
		if err != nil {
			s.refuse(w, r, CodeUnavailable, err)
			return
		}
		answer["turn"] = map[string]string{ // an RTCIceServer
			"urls":     "turn:" + s.turnAddress + "?transport=udp",
			"username": credentials.Username, "credential": credentials.Password,
		}
	}
	writeJSON(w, answer)
}

// offer takes the token's holder into the room. The answer has the status and the types
// of WHIP (RFC 9725 section 4.2).
func (s *Server) offer(w http.ResponseWriter, r *http.Request) {
	proof, _ := hmacsig.FromContext(r.Context())
	session, ok := ephemeral.SessionOf(r, proof)
	if !ok {
		s.refuse(w, r, CodeUnavailable, errors.New("server: no token"))
		return
	}
	text, err := s.readBody(w, r, "application/sdp", sdp.MaxSize)
	if err != nil {
		s.refuseBody(w, r, err)
		return
	}
	answer, err := s.rooms.Offer(r.Context(), session, string(text))
	if refused, ok := errors.AsType[*sallyport.Refusal](err); ok {
		refused.SetHeader(w.Header())
		refused.Write(w)
		return
	}
	w.Header().Set("Content-Type", "application/sdp")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer)
}

// parseFingerprint reads "AB:CD:...", as RTCCertificate.getFingerprints has it.
func parseFingerprint(text string) (sum [sha256.Size]byte, err error) {
	raw, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
	if err != nil || len(raw) != len(sum) || !strings.EqualFold(sdp.Fingerprint([32]byte(raw)), text) {
		return sum, errors.New("server: not the SHA-256 fingerprint of a certificate")
	}
	return [32]byte(raw), nil
}

func (s *Server) readBody(
	w http.ResponseWriter, r *http.Request, mediaType string, limit int64,
) ([]byte, error) {
	got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || got != mediaType {
		return nil, errors.New("server: another Content-Type")
	}
	return io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
}

func (s *Server) readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	body, err := s.readBody(w, r, "application/json", maxJSON)
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		s.refuseBody(w, r, err)
	}
	return err == nil
}

func (s *Server) refuseBody(w http.ResponseWriter, r *http.Request, err error) {
	code := CodeBodyInvalid
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		code = CodeBodyTooLarge
	}
	s.refuse(w, r, code, err)
}

// refuse reports a refusal of these handlers, and answers.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, code string, cause error) {
	e := sallyport.Event{Gate: gate, Code: code, Request: r, Err: cause}
	if session, ok := s.sessions.FromContext(r.Context()); ok {
		e.Actor = session.User
	}
	s.observe(context.WithoutCancel(r.Context()), e)
	refusal(code, cause).Write(w)
}
