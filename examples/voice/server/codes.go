package server

import (
	"github.com/opsmantik/sallyport"
)

// The codes of this package's decisions.
const (
	// CodeTokenIssued: a session token was made. Allowed.
	CodeTokenIssued = "voice_token_issued"
	// CodeRecordingLinked: somebody got the signed URL of a recording. Allowed.
	CodeRecordingLinked = "voice_recording_linked"
	// CodeTranscriptKept and CodeTranscriptRead: a transcript was stored, was read.
	// Allowed.
	CodeTranscriptKept = "voice_transcript_kept"
	CodeTranscriptRead = "voice_transcript_read"
	// CodeCallErased: the key of a call is about to be destroyed. Allowed.
	CodeCallErased = "voice_call_erased"
	// CodeRecordingNotFound, 404: there is no such recording or transcript, or it was
	// erased.
	CodeRecordingNotFound = "voice_recording_not_found"
	// CodeCallOngoing, 409: a call that is being recorded cannot be erased.
	CodeCallOngoing = "voice_call_ongoing"
	// CodeRecordingDamaged, 500: a recording is not as it was written, and is not played.
	CodeRecordingDamaged = "voice_recording_damaged"
	// CodeBodyInvalid, 400: the body is not what the route takes.
	CodeBodyInvalid = "voice_body_invalid"
	// CodeBodyTooLarge, 413: the body is longer than the route reads.
	CodeBodyTooLarge = "voice_body_too_large"
	// CodeForeignPage, 403: a page of another origin sent the request.
	CodeForeignPage = "voice_foreign_page"
	// CodeUserUnknown, 401: the demo has no such user.
	CodeUserUnknown = "voice_user_unknown"
	// CodeUnavailable, 503: something that the answer needs did not work, the audit log
	// for example. Nothing has happened.
	CodeUnavailable = "voice_unavailable"
)

var kinds = map[string]struct {
	status int
	title  string
}{
	CodeRecordingNotFound: {404, "No such recording"},
	CodeCallOngoing:       {409, "The call goes on"},
	CodeRecordingDamaged:  {500, "The recording is damaged"},
	CodeBodyInvalid:       {400, "Body invalid"},
	CodeBodyTooLarge:      {413, "Body too large"},
	CodeForeignPage:       {403, "Not from this server's own page"},
	CodeUserUnknown:       {401, "No such user"},
	CodeUnavailable:       {503, "Unavailable"},
}

const gate = "voice"

func refusal(code string, cause error) *sallyport.Refusal {
	return &sallyport.Refusal{
		Gate: gate, Code: code, Status: kinds[code].status, Title: kinds[code].title, Err: cause,
	}
}
