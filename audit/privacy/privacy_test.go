package privacy_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/privacy"
	"github.com/opsmantik/sallyport/audit/publish"
)

// keys is a Sealer with one AES-256-GCM key for each subject, in memory.
type keys struct {
	mu   sync.Mutex
	all  map[string]*key
	fail error
}

type key struct {
	handle string
	aead   cipher.AEAD
}

func (k *keys) of(tenant, subject string, create bool) *key {
	k.mu.Lock()
	defer k.mu.Unlock()
	id := tenant + "\x00" + subject
	if k.all[id] == nil && create {
		secret := make([]byte, 48)
		_, _ = rand.Read(secret)
		block, _ := aes.NewCipher(secret[:32])
		aead, _ := cipher.NewGCMWithRandomNonce(block)
		k.all[id] = &key{hex.EncodeToString(secret[32:]), aead}
	}
	return k.all[id]
}

func (k *keys) Handle(_ context.Context, tenant, subject string) (string, error) {
	return k.of(tenant, subject, true).handle, k.fail
}

func (k *keys) Seal(
	_ context.Context, tenant, subject, place string, plain []byte,
) ([]byte, error) {
	return k.of(tenant, subject, true).aead.Seal(nil, nil, plain, []byte(place)), k.fail
}

func (k *keys) Open(
	_ context.Context, tenant, subject, place string, sealed []byte,
) ([]byte, error) {
	key := k.of(tenant, subject, false)
	if key == nil {
		return nil, privacy.ErrErased
	}
	return key.aead.Open(nil, nil, sealed, []byte(place))
}

func (k *keys) Shred(_ context.Context, tenant, subject string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail != nil {
		return k.fail
	}
	delete(k.all, tenant+"\x00"+subject)
	return nil
}

var actions = []privacy.Action{
	{
		Name: "calls.junk", NeedsReason: true, SealReason: true,
		Fields: map[string]sallyport.Class{
			"from": sallyport.Internal, "phone": sallyport.Confidential, "note": sallyport.Unclassified,
		},
		Purpose: "billing", LegalBasis: "contract", Subjects: "callers", Recipients: "none",
		Retention: "12 months",
	},
	{Name: "calls.read"},
}

type office struct {
	*privacy.Register
	log  *audit.Log
	keys *keys
	dir  string
}

func newOffice(t *testing.T) office {
	t.Helper()
	o := office{keys: &keys{all: map[string]*key{}}, dir: filepath.Join(t.TempDir(), "log")}
	var err error
	o.log, err = audit.New(audit.Config{Dir: o.dir})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.log.Close()) })
	o.Register, err = privacy.New(privacy.Config{Store: o.log, Sealer: o.keys, Actions: actions})
	require.NoError(t, err)
	return o
}

const (
	phone  = "+49 151 23456789"
	reason = "Ada Lovelace asked for it"
)

func junk(call string) audit.Record {
	return audit.Record{
		Time:    time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC),
		Actor:   audit.Ref{Kind: "user", ID: "u_81"},
		Tenant:  "s1",
		Action:  "calls.junk",
		Target:  audit.Ref{Kind: "call", ID: call},
		Outcome: audit.OutcomeSuccess,
		Reason:  reason,
		Fields: []audit.Field{
			{Name: "from", Value: "open", Class: sallyport.Restricted},
			{Name: "phone", Value: phone, Class: sallyport.Public}, // the declaration wins
			{Name: "note", Value: "=SUM(Ada)"},
		},
	}
}

func (o office) record(t *testing.T, r audit.Record, subject string) {
	t.Helper()
	r, err := o.Prepare(t.Context(), r, subject)
	require.NoError(t, err)
	_, err = o.log.Append(t.Context(), r)
	require.NoError(t, err)
}

func by() audit.Ref { return audit.Ref{Kind: "user", ID: "dpo"} }

func TestOnlyWhatIsDeclared(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for name, edit := range map[string]func(*audit.Record){
		"another action":  func(r *audit.Record) { r.Action = "calls.burn" },
		"no reason":       func(r *audit.Record) { r.Reason = " \t" },
		"another field":   func(r *audit.Record) { r.Fields = append(r.Fields, audit.Field{Name: "x"}) },
		"sealed already":  func(r *audit.Record) { r.Fields[0].Handle = "h" },
		"a sealed reason": func(r *audit.Record) { r.ReasonHandle = "h" },
	} {
		r := junk("1")
		edit(&r)
		_, err := o.Prepare(t.Context(), r, "p1")
		require.ErrorIs(t, err, privacy.ErrUndeclared, name)
	}
	original := junk("1")
	r, err := o.Prepare(t.Context(), original, "p1")
	require.NoError(t, err)
	require.Equal(t, junk("1"), original, "the caller's record stays as it is")
	require.Equal(t, audit.Field{Name: "from", Value: "open", Class: sallyport.Internal}, r.Fields[0])
	require.NotEmpty(t, r.Fields[1].Handle)
	require.NotEmpty(t, r.ReasonHandle)
	redacted, err := o.Prepare(t.Context(), junk("1"), "")
	require.NoError(t, err)
	require.Empty(t, redacted.Fields[1].Value, "nobody's key: redacted")
	require.Empty(t, redacted.Reason)
	o.keys.fail = errors.New("no key")
	_, err = o.Prepare(t.Context(), junk("1"), "p1")
	require.ErrorContains(t, err, "no key")
}

// After an erasure no file has the person's data, and everything verifies as before.
func TestErasure(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, call := range []string{"1", "2"} {
		o.record(t, junk(call), "p1")
		o.record(t, junk(call), "p2")
	}
	signerKey, public, err := note.GenerateKey(nil, "audit.example.com/shop")
	require.NoError(t, err)
	signer, err := note.NewSigner(signerKey)
	require.NoError(t, err)
	verifier, err := note.NewVerifier(public)
	require.NoError(t, err)
	tiles := filepath.Join(t.TempDir(), "public")
	publisher, err := publish.New(publish.Config{
		Origin: "audit.example.com/shop", Store: o.log, Dir: tiles, Signer: signer, Verifier: verifier,
	})
	require.NoError(t, err)
	checkpoint, err := publisher.Publish(t.Context())
	require.NoError(t, err)
	before := o.export(t, privacy.JSON, "p1")
	require.Contains(t, before, phone)
	require.Contains(t, before, reason)
	require.Equal(t, 2, strings.Count(before, "calls.junk"), "not of others")

	erasure, err := o.Erase(t.Context(), "s1", "p1", by(), "request")
	require.NoError(t, err)
	require.EqualValues(t, erasure.Intent.Index+1, erasure.Done.Index)
	after := o.export(t, privacy.JSON, "p1")
	require.NotContains(t, after, phone)
	require.Contains(t, o.export(t, privacy.JSON, "p2"), phone, "others keep theirs")

	tree, err := publish.ParseCheckpoint(checkpoint, "audit.example.com/shop", verifier, 0)
	require.NoError(t, err)
	head, err := o.log.Head(t.Context())
	require.NoError(t, err)
	got, err := audit.VerifyDir(os.DirFS(o.dir), tree, nil)
	require.NoError(t, err)
	require.Equal(t, head.Tree(), got.Tree())
	_, err = publisher.Publish(t.Context())
	require.NoError(t, err, "an extension of what was signed")
	for i := range tree.N {
		proof, err := publisher.Proof(t.Context(), i)
		require.NoError(t, err)
		for entry, err := range o.log.Entries(t.Context(), i) {
			require.NoError(t, err)
			_, err = publish.VerifyProof(proof, entry, "audit.example.com/shop", verifier, 0)
			require.NoError(t, err)
			break
		}
	}
	for _, dir := range []string{o.dir, tiles} {
		requireNowhere(t, dir, phone, reason, "23456789", "Lovelace", "SUM(Ada)")
	}
}

// requireNowhere looks through every byte of every file below dir.
func requireNowhere(t *testing.T, dir string, texts ...string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path) // #nosec G304 -- the test's own file
		for _, text := range texts {
			require.False(t, bytes.Contains(data, []byte(text)), "%s in %s", text, path)
		}
		return err
	}))
}

func (o office) export(t *testing.T, format privacy.Format, subject string) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, o.Export(t.Context(), &out, format, "s1", subject, by(), "request"))
	if format == privacy.JSON {
		require.True(t, json.Valid(out.Bytes()), out.String())
	}
	return out.String()
}

func TestExport(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	require.JSONEq(t, `{"tenant":"s1","subject":"p1","records":[]}`, o.export(t, privacy.JSON, "p1"))
	o.record(t, junk("1"), "p1")
	read := junk("2")
	read.Action, read.Reason, read.Fields, read.Actor.ID = "calls.read", "", nil, "p1"
	o.record(t, read, "")
	elsewhere := read
	elsewhere.Tenant = "s2"
	o.record(t, elsewhere, "")
	rows, err := csv.NewReader(strings.NewReader(o.export(t, privacy.CSV, "p1"))).ReadAll()
	require.NoError(t, err)
	at := "2026-11-21T10:00:00Z"
	require.Equal(t, [][]string{
		{"index", "time", "role", "action", "outcome", "name", "value"},
		{"1", at, "mentioned", "calls.junk", "success", "reason", reason},
		{"1", at, "mentioned", "calls.junk", "success", "from", "open"},
		{"1", at, "mentioned", "calls.junk", "success", "note", "'=SUM(Ada)"},
		{"1", at, "mentioned", "calls.junk", "success", "phone", "'" + phone},
		{"2", at, "actor", "calls.read", "success", "", ""},
	}, append(rows[:1:1], rows[2:7]...))
	require.Equal(t, "target", rows[1][2], "the first export is on record")
	require.Error(t, o.Export(t.Context(), &bytes.Buffer{}, "xml", "s1", "p1", by(), "request"))
	require.ErrorIs(t, o.Export(t.Context(), &bytes.Buffer{}, privacy.CSV, "s1", "p1", by(), ""),
		privacy.ErrUndeclared)
}

// A value that was moved to another record or field does not open there.
func TestSealedValuesStayInTheirPlace(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r, err := o.Prepare(t.Context(), junk("1"), "p1")
	require.NoError(t, err)
	r.Fields[1].Value, r.Fields[2].Value = r.Fields[2].Value, r.Fields[1].Value
	r.Reason, r.ReasonHandle = "", ""
	_, err = o.log.Append(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, o.export(t, privacy.JSON, "p1"), `"note":null,"phone":null`)
}

func TestErasuresThatFail(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.record(t, junk("1"), "p1")
	_, err := o.Erase(t.Context(), "s1", "p1", by(), "")
	require.ErrorIs(t, err, privacy.ErrUndeclared)
	_, err = o.Erase(t.Context(), "s1", "", by(), "request")
	require.Error(t, err)
	o.keys.fail = errors.New("vault sealed")
	_, err = o.Erase(t.Context(), "s1", "p1", by(), "request")
	require.ErrorContains(t, err, "vault sealed")
	var outcomes []audit.Outcome
	for entry, err := range o.log.Entries(t.Context(), 1) {
		require.NoError(t, err)
		r, err := audit.Parse(entry)
		require.NoError(t, err)
		outcomes = append(outcomes, r.Outcome)
	}
	require.Equal(t, []audit.Outcome{audit.OutcomeIntent, audit.OutcomeFailure}, outcomes)
	o.keys.fail = nil
	require.NoError(t, o.log.Close())
	_, err = o.Erase(t.Context(), "s1", "p1", by(), "request")
	require.Error(t, err)
	require.NotEmpty(t, o.keys.all, "what cannot be recorded does not happen")
}

func TestActivities(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var out bytes.Buffer
	require.NoError(t, o.Activities(&out, "Shop | Ltd\n<x>"))
	require.Contains(t, out.String(), `Controller: Shop \| Ltd &lt;x>`)
	require.Contains(t, out.String(), "| calls.junk | billing | contract | callers | opaque ids, "+
		"note (unclassified), phone (confidential), reason (sealed) | none | 12 months |")
	require.Contains(t, out.String(), "| calls.read | **to be stated** |")
	require.Contains(t, out.String(), "| privacy.erase | rights of data subjects |")
}

func TestNotConfigured(t *testing.T) {
	t.Parallel()
	for _, r := range []*privacy.Register{nil, {}} {
		_, err := r.Prepare(t.Context(), junk("1"), "")
		require.ErrorContains(t, err, "not configured")
		_, err = r.Erase(t.Context(), "s1", "p1", by(), "x")
		require.ErrorContains(t, err, "not configured")
		require.ErrorContains(t, r.Activities(nil, ""), "not configured")
		require.ErrorContains(t, r.Export(t.Context(), nil, "", "", "", by(), ""), "not configured")
	}
	_, err := privacy.New(privacy.Config{})
	for _, field := range []string{"Store", "Sealer", "Actions"} {
		require.ErrorContains(t, err, "audit: "+field)
	}
	_, err = privacy.New(privacy.Config{Actions: []privacy.Action{
		{}, {Name: "a|b"}, {Name: "privacy.erase"}, {Name: "x"}, {Name: "x"},
	}})
	for _, field := range []string{"[0]", "[1]", "[2]", "[4]"} {
		require.ErrorContains(t, err, "Actions"+field)
	}
}
