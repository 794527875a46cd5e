package media

import (
	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/voice/sdp"
	"github.com/opsmantik/sallyport/hmacsig/ephemeral"
)

// The codes of this package's decisions.
const (
	// CodeJoined: the offer was accepted. Allowed.
	CodeJoined = "voice_joined"
	// CodeRenegotiated: a new offer of a session that is open. Allowed.
	CodeRenegotiated = "voice_renegotiated"
	// CodeConnected: the handshake is done with the certificate of the token. Allowed.
	CodeConnected = "voice_connected"
	// CodeEnded: the session is over: the peer left, or was not heard for too long.
	// Allowed.
	CodeEnded = "voice_ended"
	// CodeDescriptionRefused, 422: package sdp refused the offer. The members rule and
	// line say why.
	CodeDescriptionRefused = "voice_description_refused"
	// CodeRevoked, 403: the token or its user has been revoked; also the end of a session
	// that was open.
	CodeRevoked = "voice_revoked"
	// CodeRoomFull, 409: the room has as many as it holds.
	CodeRoomFull = "voice_room_full"
	// CodeBusy, 503: the server has as many sessions as it holds.
	CodeBusy = "voice_busy"
	// CodeNotRecorded, 503: Config.Record could not record the admission, so there is
	// none.
	CodeNotRecorded = "voice_not_recorded"
	// CodeMediaFailed, 500: pion could not do what was asked.
	CodeMediaFailed = "voice_media_failed"
	// CodeNotConfigured, 503: the zero value, or a server that was closed.
	CodeNotConfigured = "voice_not_configured"
	// CodeHandshakeRefused: DTLS found no common ground, the certificate did not match,
	// or nothing came in time. Outside HTTP.
	CodeHandshakeRefused = "voice_handshake_refused"
	// CodeCertificateRefused: the handshake is done, and the certificate is not that of
	// the token, or its key is weak. Outside HTTP.
	CodeCertificateRefused = "voice_certificate_refused"
)

var kinds = map[string]struct {
	status int
	title  string
}{
	CodeDescriptionRefused: {422, "Session description refused"},
	CodeRevoked:            {403, "Access has been revoked"},
	CodeRoomFull:           {409, "The room is full"},
	CodeBusy:               {503, "No more sessions"},
	CodeNotRecorded:        {503, "The admission could not be recorded"},
	CodeMediaFailed:        {500, "The session could not be set up"},
	CodeNotConfigured:      {503, "Not configured"},
}

// Decision is the Detail of every Event of this package.
type Decision struct {
	// Session is what the token says.
	Session ephemeral.Session
	// Violation is why the description was refused, or nil.
	Violation *sdp.Violation
	// Ended: the session is over.
	Ended bool
}

const gate = "voice"

func (s *Server) refusal(code string, d *Decision, cause error) *sallyport.Refusal {
	r := &sallyport.Refusal{
		Gate: gate, Code: code, Status: kinds[code].status, Title: kinds[code].title,
		Err: cause, Detail: d,
	}
	if s != nil {
		r.TypeBase = s.cfg.ProblemBase
	}
	if d != nil && d.Violation != nil {
		r.Members = map[string]any{
			"rule": d.Violation.Rule, "line": d.Violation.Line, "detail": d.Violation.Why,
		}
	}
	return r
}
