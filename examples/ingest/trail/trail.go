// Package trail publishes the audit log and answers for it: signed checkpoints, proofs,
// tiles for verifiers, searches, and the quarterly review of who may do what.
package trail

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/publish"
	"github.com/opsmantik/sallyport/audit/reads"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

// interval is how often what was recorded is signed. Until then nothing outside this
// machine would show its removal.
const interval = 5 * time.Second

// Config configures a Trail. All fields but OnPublish are required.
type Config struct {
	Log   audit.Store
	Calls store.Calls // lists a site's newest records
	// KeyFile holds the key that signs, and is made where it is missing.
	KeyFile string
	// Dir is where tiles and checkpoints are written. It must not be rolled back.
	Dir string
	// Name is the log's, in the key that is made. By convention where it is served,
	// without the scheme.
	Name string
	// OnPublish takes each checkpoint out of this machine's reach.
	OnPublish func(ctx context.Context, checkpoint []byte) error
	Logger    *slog.Logger
}

// Trail is the published log.
type Trail struct {
	cfg       Config
	publisher *publish.Publisher
	reads     *reads.Gate
	key       key
}

// Open signs what the log holds. It fails if the log is not an extension of what was
// signed before: somebody took records back.
func Open(ctx context.Context, cfg Config) (*Trail, error) {
	for _, dir := range []string{filepath.Dir(cfg.KeyFile), filepath.Dir(cfg.Dir)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("trail: %w", err)
		}
	}
	t := &Trail{cfg: cfg}
	var err error
	if t.key, err = readKey(cfg.KeyFile, cfg.Name); err != nil {
		return nil, fmt.Errorf("trail: AUDIT_KEY_FILE: %w", err)
	}
	t.publisher, err = publish.New(publish.Config{
		Origin: t.key.signer.Name(), Store: cfg.Log, Dir: cfg.Dir,
		Signer: t.key.signer, Verifier: t.key.verifier, OnPublish: cfg.OnPublish,
	})
	if err != nil {
		return nil, fmt.Errorf("trail: %w", err)
	}
	if t.reads, err = reads.New(reads.Config{Store: cfg.Log, Describe: described}); err != nil {
		return nil, fmt.Errorf("trail: %w", err)
	}
	if _, err := t.publisher.Publish(ctx); err != nil {
		return nil, fmt.Errorf("trail: %w", err)
	}
	cfg.Logger.InfoContext(ctx, "audit log signed", "verifier_key", t.key.public)
	return t, nil
}

// Run signs what is recorded until ctx ends, and once more then.
func (t *Trail) Run(ctx context.Context) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), interval)
			defer cancel()
			t.publish(last)
			return
		case <-ticker.C:
			t.publish(ctx)
		}
	}
}

func (t *Trail) publish(ctx context.Context) {
	if _, err := t.publisher.Publish(ctx); err != nil && ctx.Err() == nil {
		t.cfg.Logger.ErrorContext(ctx, "audit log not signed", "error", err)
	}
}
