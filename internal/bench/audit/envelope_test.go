package audit_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/privacy"
	"github.com/opsmantik/sallyport/tenancy/envelope"
)

// sealer makes an envelope.Vault a privacy.Sealer. It is what a user of both writes.
type sealer struct{ vault *envelope.Vault }

// site names the owner of what belongs to no tenant.
func site(tenant string) string {
	if tenant == "" {
		return "platform"
	}
	return tenant
}

func (s sealer) Handle(ctx context.Context, tenant, subject string) (string, error) {
	return s.vault.Handle(ctx, envelope.Owner{Site: site(tenant), Subject: subject})
}

func at(tenant, subject, place string) envelope.Place {
	return envelope.Place{
		Site: site(tenant), Subject: subject, Table: "audit", Column: "field", Row: place,
	}
}

func (s sealer) Seal(
	ctx context.Context, tenant, subject, place string, plaintext []byte,
) ([]byte, error) {
	return s.vault.Seal(ctx, nil, at(tenant, subject, place), plaintext)
}

func (s sealer) Open(
	ctx context.Context, tenant, subject, place string, sealed []byte,
) ([]byte, error) {
	plain, err := s.vault.Open(ctx, nil, at(tenant, subject, place), sealed)
	if errors.Is(err, envelope.ErrShredded) {
		err = errors.Join(privacy.ErrErased, err)
	}
	return plain, err
}

func (s sealer) Shred(ctx context.Context, tenant, subject string) error {
	return s.vault.Shred(ctx, envelope.Owner{Site: site(tenant), Subject: subject})
}

// A person's data is sealed by the vault, exported, and erased; no file ever has it.
func TestTheVaultIsASealer(t *testing.T) {
	t.Parallel()
	const phone = "+49 151 23456789"
	kek, err := envelope.LocalKEK(filepath.Join(t.TempDir(), "kek"))
	require.NoError(t, err)
	keys, err := envelope.NewMemory(envelope.MemoryConfig{})
	require.NoError(t, err)
	vault, err := envelope.New(envelope.Config{KEK: kek, Store: keys})
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "log")
	log, err := audit.New(audit.Config{Dir: dir})
	require.NoError(t, err)
	register, err := privacy.New(privacy.Config{
		Store: log, Sealer: sealer{vault}, Actions: []privacy.Action{{
			Name: "calls.junk", Fields: map[string]sallyport.Class{"phone": sallyport.Confidential},
		}},
	})
	require.NoError(t, err)
	by := audit.Ref{Kind: "user", ID: "dpo"}
	for _, tenant := range []string{"s1", ""} {
		r, err := register.Prepare(t.Context(), audit.Record{
			Time: time.Now(), Actor: by, Tenant: tenant, Action: "calls.junk",
			Outcome: audit.OutcomeSuccess, Fields: []audit.Field{{Name: "phone", Value: phone}},
		}, "p1")
		require.NoError(t, err)
		_, err = log.Append(t.Context(), r)
		require.NoError(t, err)
		export := func() string {
			var out bytes.Buffer
			err := register.Export(t.Context(), &out, privacy.JSON, tenant, "p1", by, "request")
			require.NoError(t, err)
			return out.String()
		}
		require.Contains(t, export(), phone)
		_, err = register.Erase(t.Context(), tenant, "p1", by, "request")
		require.NoError(t, err)
		require.NotContains(t, export(), phone)
	}
	head, err := log.Head(t.Context())
	require.NoError(t, err)
	require.NoError(t, log.Close())
	_, err = audit.VerifyDir(os.DirFS(dir), head.Tree(), nil)
	require.NoError(t, err)
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		require.False(t, bytes.Contains(data, []byte("23456789")), path)
		return err
	}))
}
