package gatetest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
)

// slack is what may be read beyond the bound: a server drains a little of what it
// refuses, so that the client reads the answer, and sockets hold some more.
const slack = 8 << 20

func maxBody(r *Route) int {
	if r.MaxBody > 0 {
		return r.MaxBody
	}
	return 1 << 20
}

// bodyAttacks are bodies that cost more than they may.
func bodyAttacks() []attack {
	const gate = "body limit"
	hasBody := func(_ *Suite, r *Route) bool { return r.Body != "" }
	return []attack{
		{
			name: "body one byte too long", gate: gate, applies: hasBody,
			fix: "bound the body where it is first read, with the limit that MaxBody says",
			run: func(t *trial) []string {
				d := t.draft()
				d.body = append(d.body, bytes.Repeat([]byte(" "), maxBody(t.route)+1-len(d.body))...)
				if got := t.genuine(d); got.status != http.StatusRequestEntityTooLarge {
					return []string{got.String() + ", not 413"}
				}
				return nil
			},
		},
		{
			name: "endless body", gate: gate, applies: hasBody,
			fix: "read bodies through http.MaxBytesReader, the gates' and the handler's alike",
			run: endless,
		},
	}
}

// endless sends a body of unknown length, and counts what the server takes. What
// it answers is another attack's concern.
func endless(t *trial) (wrong []string) {
	d := t.draft()
	t.sign(d)
	body := &stream{most: int64(maxBody(t.route)) + 2*slack}
	body.text = slices.Concat(d.body, bytes.Repeat([]byte(" "), 4096))
	d.Body, d.ContentLength = body, -1
	got := t.send(d.Request)
	if read := body.read.Load(); read > int64(maxBody(t.route))+slack {
		wrong = append(wrong, fmt.Sprintf("%s, after it has read %d bytes", got, read))
	}
	if t.accepted(got) {
		wrong = append(wrong, got.String()+" to a body of many megabytes")
	}
	return wrong
}

// stream is a long body that knows how much of it was read. The text of a genuine
// one is at its beginning, and then spaces, which JSON allows.
type stream struct {
	text []byte
	most int64
	read atomic.Int64
}

func (s *stream) Read(p []byte) (int, error) {
	at := s.read.Load()
	if at >= s.most {
		return 0, io.EOF
	}
	n := 0
	if at < int64(len(s.text)) {
		n = copy(p, s.text[at:])
	} else {
		for n < len(p) {
			p[n] = ' '
			n++
		}
	}
	s.read.Add(int64(n))
	return n, nil
}

func (s *stream) Close() error { return nil }
