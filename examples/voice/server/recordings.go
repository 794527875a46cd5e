package server

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/voice/recording"
	"github.com/opsmantik/sallyport/hmacsig/ephemeral"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/envelope"
)

// recordingScope is what the signed URLs of recordings open.
const recordingScope = "recordings:play"

// Heard is the Detail of the events about recordings.
type Heard struct{ Call, Track string }

// newLinks makes both sides of signed URLs.
func (s *Server) newLinks() error {
	cfg := ephemeral.URLConfig{
		Scope: recordingScope, Keys: s.keys, Lifetime: s.cfg.LinkLifetime, OnEvent: s.observe,
	}
	var err error
	if s.signer, err = ephemeral.NewURLSigner(cfg); err != nil {
		return err
	}
	s.links, err = ephemeral.NewURLVerifier(cfg)
	return err
}

func trackOf(r *http.Request, site string) recording.Track {
	return recording.Track{Site: site, Call: r.PathValue("call"), ID: r.PathValue("track")}
}

// list names the recordings of a site.
func (s *Server) list(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[HearCall]) {
	tracks, err := s.archive.Tracks(r.Context(), grant.Site(), "")
	if err != nil {
		s.refuse(w, r, CodeUnavailable, err)
		return
	}
	answer := make([]map[string]string, 0, len(tracks))
	for _, t := range tracks {
		answer = append(answer, map[string]string{"call": t.Call, "track": t.ID})
	}
	writeJSON(w, answer)
}

// link signs the URL of a recording, for five minutes. The page asks again before that.
func (s *Server) link(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[HearCall]) {
	t := trackOf(r, grant.Site())
	opened, err := s.archive.Open(r.Context(), t)
	if err != nil {
		s.refuseRecording(w, r, err)
		return
	}
	target, err := s.signer.Sign(http.MethodGet, "/recordings/"+path.Join(t.Site, t.Call, t.ID))
	if err != nil {
		s.refuse(w, r, CodeUnavailable, err)
		return
	}
	if !s.allow(w, r, CodeRecordingLinked, grant.Site(), grant.User(), t) {
		return
	}
	writeJSON(w, map[string]any{
		"url": target, "finished": opened.Finished, "seconds": s.cfg.LinkLifetime.Seconds(),
	})
}

// play serves a recording, in ranges, to who has its URL, until the URL is over: what is
// being sent then is cut off.
func (s *Server) play(w http.ResponseWriter, r *http.Request) {
	over, ok := expiry(r.URL)
	if !ok {
		s.refuse(w, r, CodeUnavailable, errors.New("server: a signed URL without an end"))
		return
	}
	opened, err := s.archive.Open(r.Context(), trackOf(r, r.PathValue("site_id")))
	if err != nil {
		s.refuseRecording(w, r, err)
		return
	}
	// A reader that does not read is cut off, too.
	connection := http.NewResponseController(w)
	if err := connection.SetWriteDeadline(over); err == nil {
		defer func() { _ = connection.SetWriteDeadline(time.Time{}) }()
	}
	h := w.Header()
	h.Set("Content-Type", "audio/ogg")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Recording-Finished", strconv.FormatBool(opened.Finished))
	content := &until{ReadSeeker: opened, over: over}
	http.ServeContent(w, r, "", time.Time{}, content)
	if content.cut != nil {
		panic(http.ErrAbortHandler) // nobody takes a part for the whole
	}
}

// expiry is when a signed URL is over. The signature covers it.
func expiry(u *url.URL) (time.Time, bool) {
	unix, err := strconv.ParseInt(u.Query().Get("expires"), 10, 64)
	return time.Unix(unix, 0), err == nil
}

var errOver = errors.New("server: the link is over")

// until reads for as long as a link lives.
type until struct {
	io.ReadSeeker
	over time.Time
	cut  error // what has ended it before the end
}

// Read implements io.Reader.
func (u *until) Read(p []byte) (int, error) {
	if !time.Now().Before(u.over) {
		u.cut = errOver
		return 0, errOver
	}
	n, err := u.ReadSeeker.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		u.cut = err
	}
	return n, err
}

// setTranscript keeps what was said, in words.
func (s *Server) setTranscript(
	w http.ResponseWriter, r *http.Request, grant tenancy.Grant[HearCall],
) {
	text, err := s.readBody(w, r, "text/plain", recording.MaxTranscript)
	if err != nil {
		s.refuseBody(w, r, err)
		return
	}
	call := r.PathValue("call")
	tracks, err := s.archive.Tracks(r.Context(), grant.Site(), call)
	if err != nil || len(tracks) == 0 {
		s.refuseRecording(w, r, errors.Join(recording.ErrNone, err))
		return
	}
	if !s.allow(w, r, CodeTranscriptKept, grant.Site(), grant.User(), recording.Track{Call: call}) {
		return
	}
	kept := recording.NewTranscript(string(text))
	err = s.archive.SetTranscript(r.Context(), grant.Site(), call, kept)
	if err != nil {
		s.refuseRecording(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// transcript returns it.
func (s *Server) transcript(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[HearCall]) {
	call := r.PathValue("call")
	text, err := s.archive.Transcript(r.Context(), grant.Site(), call)
	if err != nil {
		s.refuseRecording(w, r, err)
		return
	}
	if !s.allow(w, r, CodeTranscriptRead, grant.Site(), grant.User(), recording.Track{Call: call}) {
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, text.Reveal())
}

// erase destroys the key of a call.
func (s *Server) erase(w http.ResponseWriter, r *http.Request, grant tenancy.Grant[EraseCall]) {
	call := r.PathValue("call")
	if !s.allow(w, r, CodeCallErased, grant.Site(), grant.User(), recording.Track{Call: call}) {
		return
	}
	if err := s.archive.Erase(r.Context(), grant.Site(), call); err != nil {
		s.refuseRecording(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// allow records what somebody is about to do with a recording, and refuses what cannot be
// recorded.
func (s *Server) allow(
	w http.ResponseWriter, r *http.Request, code, site, user string, t recording.Track,
) bool {
	e := sallyport.Event{
		Gate: gate, Code: code, Allowed: true, Tenant: site, Actor: user, Request: r,
		Detail: &Heard{t.Call, t.ID},
	}
	if err := s.record(r.Context(), e); err != nil {
		s.refuse(w, r, CodeUnavailable, err)
		return false
	}
	s.passOn(r.Context(), e)
	return true
}

func (s *Server) refuseRecording(w http.ResponseWriter, r *http.Request, err error) {
	code := CodeUnavailable
	switch {
	case errors.Is(err, recording.ErrNone), errors.Is(err, recording.ErrTrack),
		errors.Is(err, envelope.ErrShredded):
		code = CodeRecordingNotFound
	case errors.Is(err, recording.ErrOngoing):
		code = CodeCallOngoing
	case errors.Is(err, recording.ErrDamaged):
		code = CodeRecordingDamaged
	}
	s.refuse(w, r, code, err)
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(value)
}
