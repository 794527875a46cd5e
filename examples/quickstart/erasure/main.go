// Command erasure writes a person's data into an audit log, sealed under a key of that
// person, and makes it unreadable by destroying the key. The log stays as it is, and
// verifies.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/privacy"
	"github.com/opsmantik/sallyport/tenancy/envelope"
)

// sealer fits an envelope.Vault to privacy.Sealer.
type sealer struct{ vault *envelope.Vault }

func (s sealer) Handle(ctx context.Context, tenant, subject string) (string, error) {
	return s.vault.Handle(ctx, envelope.Owner{Site: tenant, Subject: subject})
}

func (s sealer) Seal(
	ctx context.Context, tenant, subject, place string, plaintext []byte,
) ([]byte, error) {
	return s.vault.Seal(ctx, nil, where(tenant, subject, place), plaintext)
}

func (s sealer) Open(
	ctx context.Context, tenant, subject, place string, sealed []byte,
) ([]byte, error) {
	plaintext, err := s.vault.Open(ctx, nil, where(tenant, subject, place), sealed)
	if errors.Is(err, envelope.ErrShredded) {
		return nil, errors.Join(privacy.ErrErased, err)
	}
	return plaintext, err
}

func (s sealer) Shred(ctx context.Context, tenant, subject string) error {
	return s.vault.Shred(ctx, envelope.Owner{Site: tenant, Subject: subject})
}

func where(tenant, subject, place string) envelope.Place {
	return envelope.Place{
		Site: tenant, Subject: subject, Table: "audit", Column: "sealed", Row: place,
	}
}

func newVault(dir string) (*envelope.Vault, error) {
	kek, err := envelope.LocalKEK(filepath.Join(dir, "kek")) // in production: a KMS
	if err != nil {
		return nil, err
	}
	keys, err := envelope.NewMemory(envelope.MemoryConfig{}) // in production: a database
	if err != nil {
		return nil, err
	}
	return envelope.New(envelope.Config{KEK: kek, Store: keys})
}

// exports are what the log tells of ada before and after her erasure.
func exports(ctx context.Context, dir string) (before, after string, err error) {
	trail, err := audit.New(audit.Config{Dir: filepath.Join(dir, "audit")})
	if err != nil {
		return "", "", err
	}
	defer func() { err = errors.Join(err, trail.Close()) }()
	vault, err := newVault(dir)
	if err != nil {
		return "", "", err
	}
	register, err := privacy.New(privacy.Config{
		Store: trail, Sealer: sealer{vault},
		Actions: []privacy.Action{{
			Name: "calls.junk", Fields: map[string]sallyport.Class{"phone": sallyport.Confidential},
			Purpose: "billing", LegalBasis: "contract", Subjects: "callers", Recipients: "none",
			Retention: "12 months",
		}},
	})
	if err != nil {
		return "", "", err
	}
	by := audit.Ref{Kind: "user", ID: "u1"}
	record, err := register.Prepare(ctx, audit.Record{
		Time: time.Now(), Actor: by, Tenant: "shop", Action: "calls.junk",
		Target: audit.Ref{Kind: "call", ID: "7"}, Outcome: audit.OutcomeSuccess,
		Fields: []audit.Field{{Name: "phone", Value: "+31201234567"}},
	}, "ada")
	if err != nil {
		return "", "", err
	}
	if _, err = trail.Append(ctx, record); err != nil {
		return "", "", err
	}
	export := func() (string, error) {
		var out bytes.Buffer
		err := register.Export(ctx, &out, privacy.JSON, "shop", "ada", by, "request")
		return out.String(), err
	}
	if before, err = export(); err != nil {
		return "", "", err
	}
	if _, err = register.Erase(ctx, "shop", "ada", by, "request"); err != nil {
		return "", "", err
	}
	after, err = export()
	return before, after, err
}

func main() {
	dir, err := os.MkdirTemp("", "erasure-")
	if err != nil {
		log.Fatal(err)
	}
	before, after, err := exports(context.Background(), dir)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(before)
	fmt.Println(after)
}
