package publish

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/mod/sumdb/note"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/internal/configerr"
)

// Witness is a server that cosigns checkpoints of logs that only grow.
type Witness struct {
	// URL is the submission prefix, below which add-checkpoint is.
	//
	// Permitted: "https://witness.example/w1", "http://127.0.0.1:7380". Refused:
	// "http://witness.example", "witness.example".
	URL string
	// Verifier checks its cosignatures: [NewCosignatureVerifier], or one of another
	// kind of signature.
	Verifier note.Verifier
}

// Config configures a [Publisher]. New copies it.
type Config struct {
	_ [0]func() // keyed literals only; not comparable

	// Origin names the log, for ever. Required. By convention it is the URL under
	// which the tiles are served, without scheme and without a slash at the end.
	//
	// Permitted: "audit.example.com/shop". Refused: "https://audit.example.com/shop/",
	// anything with a space or a plus sign.
	Origin string

	// Store is the log. Required.
	Store audit.Store

	// Dir is where tiles and checkpoints are written. Required. It is created with
	// mode 0755, in a directory that exists. It must not be rolled back: it holds
	// what the signer is bound by.
	Dir string

	// Signer signs checkpoints, and Verifier checks its signatures. Required. Their
	// names are the Origin. note.NewSigner makes an Ed25519 one, which witnesses
	// expect; another kind may be plugged in.
	Signer   note.Signer
	Verifier note.Verifier

	// Witnesses are asked for a cosignature of every checkpoint, all at the same time.
	Witnesses []Witness

	// Quorum is how many of them must answer before a checkpoint is published.
	// Default 0; at most all of them.
	Quorum int

	// WitnessTimeout bounds the wait for the witnesses. Default 5 s; 10 ms to 1 min.
	WitnessTimeout time.Duration

	// Client sends the requests to witnesses. Default: a client of its own that
	// follows no redirect.
	Client *http.Client

	// OnPublish, if set, takes each new checkpoint out of reach: to another machine,
	// another company, a printer. An error is reported by Publish, and the next call
	// sends the newest one again.
	OnPublish func(ctx context.Context, checkpoint []byte) error
}

func (c Config) withDefaults() Config {
	if c.WitnessTimeout == 0 {
		c.WitnessTimeout = 5 * time.Second
	}
	if c.Client == nil {
		c.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}}
	}
	return c
}

func (c Config) validate() error {
	problems := configerr.For("audit")
	if !validName(c.Origin) {
		problems.Add("Origin", c.Origin, sallyport.ConfigMalformed,
			`want a name such as "audit.example.com/shop", without a scheme, spaces and +`)
	}
	for field, missing := range map[string]bool{
		"Store": c.Store == nil, "Dir": c.Dir == "", "Signer": c.Signer == nil,
		"Verifier": c.Verifier == nil,
	} {
		if missing {
			problems.Add(field, "", sallyport.ConfigRequired, "must be set")
		}
	}
	if c.Signer != nil && c.Verifier != nil && (c.Signer.Name() != c.Origin ||
		c.Verifier.Name() != c.Origin || c.Signer.KeyHash() != c.Verifier.KeyHash()) {
		problems.Add("Signer", c.Signer.Name(), sallyport.ConfigConflict,
			"Signer and Verifier must be of one key, and named like Origin")
	}
	if c.Quorum < 0 || c.Quorum > len(c.Witnesses) {
		problems.Add("Quorum", strconv.Itoa(c.Quorum), sallyport.ConfigOutOfRange,
			"want 0 to the number of Witnesses")
	}
	if c.WitnessTimeout < 10*time.Millisecond || c.WitnessTimeout > time.Minute {
		problems.Add("WitnessTimeout", c.WitnessTimeout.String(), sallyport.ConfigOutOfRange,
			"want 10ms to 1m")
	}
	for i, w := range c.Witnesses {
		field := "Witnesses[" + strconv.Itoa(i) + "]"
		if w.Verifier == nil {
			problems.Add(field+".Verifier", "", sallyport.ConfigRequired, "must be set")
		}
		if !validWitnessURL(w.URL) {
			problems.Add(field+".URL", w.URL, sallyport.ConfigMalformed,
				"want an https URL, or an http one of this machine, without query")
		}
	}
	return problems.Err()
}

// validName is the rule of the signed note for the name of a key.
func validName(name string) bool {
	return name != "" && !strings.Contains(name, "+") && !strings.Contains(name, "://") &&
		!strings.HasSuffix(name, "/") && strings.IndexFunc(name, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}) < 0
}

func validWitnessURL(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	local := u.Hostname() == "127.0.0.1" || u.Hostname() == "::1" || u.Hostname() == "localhost"
	return u.Scheme == "https" || u.Scheme == "http" && local
}
