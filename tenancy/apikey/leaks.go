package apikey

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/opsmantik/sallyport"
)

// Leak is one key that GitHub found in public, in Event.Detail.
type Leak struct {
	// Record is the key, which has been revoked.
	Record Record
	// URL is where it was found; Source is in what: "commit", "pull_request_body".
	// Both are GitHub's words.
	URL, Source string
}

// The limits of a report.
const (
	maxReport   = 1 << 20 // bytes
	reportTime  = 25 * time.Second
	keysAge     = time.Hour   // for how long GitHub's public keys are used again
	keysPause   = time.Minute // between two fetches for an unknown one
	fetchTime   = 10 * time.Second
	maxKeysBody = 1 << 16
)

// Leaks serves reports of GitHub's secret scanning partner program: it verifies the
// signature over the raw body (ECDSA P-256, SHA-256), revokes every key of this gate
// in the report, and answers which of them were real. It belongs at the URL that was
// given to GitHub, without a session in front:
// https://docs.github.com/en/code-security/secret-scanning/secret-scanning-partnership-program/secret-scanning-partner-program
//
// Fetch returns the body of https://api.github.com/meta/public_keys/secret_scanning. It
// is called at most once a minute, and its answer is used for an hour.
//
//	POST /leaks
//	Github-Public-Key-Identifier: bcb53661c06b...
//	Github-Public-Key-Signature: MEQCIQDaMKqr...
//
//	[{"token":"acme_...","type":"acme_key","url":"https://...","source":"commit"}]
//
// A report that comes twice revokes twice, which changes nothing.
func (g *Gate) Leaks(fetch func(context.Context) ([]byte, error)) http.Handler {
	if !g.configured() || fetch == nil {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			notConfigured.Refusal(gateName, errZero).Write(w)
		})
	}
	l := &leaks{gate: g, fetch: fetch}
	return http.HandlerFunc(l.serve)
}

// leaks serves reports. It keeps GitHub's public keys, which change now and then: a
// report names the key that it was signed with, and an unknown name makes it fetch them
// again, but not more often than once in keysPause, whoever makes up names.
type leaks struct {
	gate  *Gate
	fetch func(context.Context) ([]byte, error)

	mu      sync.Mutex // held while fetching: one fetch serves all
	keys    map[string]*ecdsa.PublicKey
	fetched time.Time
}

// found is one match of a report.
type found struct {
	Token  string `json:"token"`
	Type   string `json:"type"`
	URL    string `json:"url"`
	Source string `json:"source"`
}

// feedback is what GitHub may be told about a match. It names the key by its SHA-256:
// an answer may be logged somewhere.
type feedback struct {
	Hash  string `json:"token_hash"`
	Type  string `json:"token_type"`
	Label string `json:"label"`
}

func (l *leaks) serve(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), reportTime)
	defer cancel()
	report, code, err := l.read(ctx, w, r)
	if code == "" {
		var answer []feedback
		if answer, err = l.revoke(ctx, report); err == nil {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "no-store")
			_ = json.NewEncoder(w).Encode(answer) // GitHub may be gone
			return
		}
		code = CodeUnavailable
	}
	l.gate.answer(w, r, l.gate.settle(r.Context(), r, code, err, Record{}))
}

var (
	errMethod    = errors.New("apikey: a report is a POST with a body")
	errHeaders   = errors.New("apikey: want one key identifier and one signature")
	errNoKey     = errors.New("apikey: GitHub has no such public key")
	errSignature = errors.New("apikey: the signature does not match the body")
	errNotP256   = errors.New("apikey: not a P-256 public key")
)

// read returns the report, or the code of a refusal. Nothing is parsed before its
// signature has been verified.
func (l *leaks) read(
	ctx context.Context, w http.ResponseWriter, r *http.Request,
) ([]found, string, error) {
	if r.Method != http.MethodPost || r.Body == nil {
		return nil, CodeReportMalformed, errMethod
	}
	ids := r.Header.Values("Github-Public-Key-Identifier")
	signatures := r.Header.Values("Github-Public-Key-Signature")
	if len(ids) != 1 || len(signatures) != 1 {
		return nil, CodeReportUnsigned, errHeaders
	}
	signature, err := base64.StdEncoding.Strict().DecodeString(signatures[0])
	if err != nil {
		return nil, CodeReportUnsigned, errHeaders
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReport))
	if err != nil {
		return nil, CodeReportMalformed, err
	}
	public, err := l.key(ctx, ids[0])
	if errors.Is(err, errNoKey) {
		return nil, CodeReportUnsigned, err
	}
	if err != nil {
		return nil, CodeUnavailable, err
	}
	sum := sha256.Sum256(body)
	if !ecdsa.VerifyASN1(public, sum[:], signature) {
		return nil, CodeReportUnsigned, errSignature
	}
	var report []found
	if err := json.Unmarshal(body, &report); err != nil || report == nil {
		return nil, CodeReportMalformed, errors.New("apikey: the report is not a JSON array")
	}
	return report, "", nil
}

// key returns the public key of that name, fetching again what is old or unknown.
func (l *leaks) key(ctx context.Context, id string) (*ecdsa.PublicKey, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	age := time.Since(l.fetched)
	if public := l.keys[id]; public != nil && age < keysAge {
		return public, nil
	}
	if l.keys != nil && age < keysPause {
		return nil, errNoKey
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	body, err := l.fetch(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys(body)
	if err != nil {
		return nil, err
	}
	l.keys, l.fetched = keys, time.Now()
	if public := keys[id]; public != nil {
		return public, nil
	}
	return nil, errNoKey
}

// parseKeys reads GitHub's list of public keys.
func parseKeys(body []byte) (map[string]*ecdsa.PublicKey, error) {
	var list struct {
		Keys []struct {
			ID  string `json:"key_identifier"`
			PEM string `json:"key"`
		} `json:"public_keys"`
	}
	if len(body) > maxKeysBody {
		return nil, errors.New("apikey: the list of public keys is too long")
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, err
	}
	keys := map[string]*ecdsa.PublicKey{}
	for _, k := range list.Keys {
		block, _ := pem.Decode([]byte(k.PEM))
		if block == nil {
			return nil, errNotP256
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		public, ok := parsed.(*ecdsa.PublicKey)
		if !ok || public.Curve != elliptic.P256() {
			return nil, errNotP256
		}
		keys[k.ID] = public
	}
	return keys, nil
}

// revoke ends every key of the report that is ours. What fails is reported as a whole,
// and GitHub sends it again: revoking twice changes nothing.
func (l *leaks) revoke(ctx context.Context, report []found) ([]feedback, error) {
	g := l.gate
	answer := make([]feedback, 0, len(report))
	for _, match := range report {
		sum := sha256.Sum256([]byte(match.Token))
		verdict := feedback{hex.EncodeToString(sum[:]), match.Type, "false_positive"}
		if wellFormed(g.cfg.Prefix, match.Token) {
			record, err := g.cfg.Store.Find(ctx, sum)
			switch {
			case errors.Is(err, ErrNotFound):
			case err != nil:
				return nil, err
			default:
				verdict.Label = "true_positive"
				if err := l.end(ctx, record, match); err != nil {
					return nil, err
				}
			}
		}
		answer = append(answer, verdict)
	}
	return answer, nil
}

func (l *leaks) end(ctx context.Context, record Record, match found) error {
	if err := l.gate.end(ctx, record.User, record.ID, time.Now().Add(-skew)); err != nil {
		return err
	}
	if l.gate.cfg.OnEvent != nil {
		l.gate.cfg.OnEvent(ctx, sallyport.Event{
			Gate: gateName, Code: CodeLeaked, Allowed: true, Actor: record.User,
			Detail: Leak{Record: record.public(), URL: match.URL, Source: match.Source},
		})
	}
	return nil
}
