package envelope

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

// Owner is whose keys: a person of a site, or with an empty Subject the site itself.
type Owner struct{ Site, Subject string }

// Key is a data key as a store keeps it: wrapped.
type Key struct {
	Owner Owner
	// Version counts the owner's keys from 1.
	Version int
	// Handle stands for the owner in logs and audit records: 22 random characters, the
	// same for all versions. Once the keys are shredded, nothing leads back from it.
	Handle string
	// Commit tells the key from all others without telling anything about it.
	Commit [CommitSize]byte
	// KEK is the ID of the key that wrapped it.
	KEK     string
	Wrapped []byte
	Created time.Time
	// Seals is how many messages may have been sealed with it.
	Seals uint64
}

// Store keeps wrapped keys. Each method is one atomic operation. An error other than
// these means that the store could not tell; nothing is tried again. storetest.Run
// tests an implementation.
//
// In Postgres, with a primary key of (site, subject, version):
//
//	Load    UPDATE ... SET seals = seals + $3 WHERE the newest of the owner; SELECT all
//	        of the owner ORDER BY version, in one transaction
//	Add     INSERT ... ON CONFLICT DO NOTHING   -- no row: ErrExists
//	Rewrap  UPDATE ... SET kek = $4, wrapped = $5 WHERE site = $1 AND subject = $2
//	        AND version = $3 AND wrapped = $6   -- no row: ErrExists
//	Shred   DELETE ... WHERE site = $1 AND subject = $2
type Store interface {
	// Load returns the owner's keys, oldest first, or none. It adds reserve to the Seals
	// of the newest, and the answer has the new number.
	Load(ctx context.Context, owner Owner, reserve uint64) ([]Key, error)
	// Add adds a key, whose Version must be the next one, or returns ErrExists.
	Add(ctx context.Context, key Key) error
	// Rewrap replaces KEK and Wrapped of a key whose Wrapped still is old, or returns
	// ErrExists.
	Rewrap(ctx context.Context, key Key, old []byte) error
	// Shred deletes all keys of an owner, so that they cannot be read again. An owner
	// without keys is no error.
	Shred(ctx context.Context, owner Owner) error
}

// MemoryConfig configures a [Memory].
type MemoryConfig struct {
	_ [0]func() // keyed literals only

	// MaxOwners bounds the store. Default 10000, at most 1e6.
	MaxOwners int
}

// Memory is a [Store] in this process, for tests. What it holds is lost with it, and so
// is what was sealed.
type Memory struct {
	mu   sync.Mutex
	max  int
	keys map[Owner][]Key
}

const (
	defaultMaxOwners = 10_000
	maxMaxOwners     = 1_000_000
)

// NewMemory returns an empty store.
func NewMemory(cfg MemoryConfig) (*Memory, error) {
	if cfg.MaxOwners == 0 {
		cfg.MaxOwners = defaultMaxOwners
	}
	if cfg.MaxOwners < 1 || cfg.MaxOwners > maxMaxOwners {
		list := configerr.For("envelope")
		list.Add("MaxOwners", fmt.Sprint(cfg.MaxOwners), sallyport.ConfigOutOfRange,
			fmt.Sprintf("want 1 to %d", maxMaxOwners))
		return nil, list.Err()
	}
	return &Memory{max: cfg.MaxOwners, keys: map[Owner][]Key{}}, nil
}

// Load implements [Store].
func (m *Memory) Load(ctx context.Context, owner Owner, reserve uint64) ([]Key, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := m.keys[owner]
	if len(keys) > 0 {
		keys[len(keys)-1].Seals += reserve
	}
	out := slices.Clone(keys)
	for i := range out {
		out[i].Wrapped = bytes.Clone(out[i].Wrapped)
	}
	return out, nil
}

var (
	errVersion = errors.New("envelope: not the next version")
	errFull    = errors.New("envelope: the memory store is full")
)

// Add implements [Store].
func (m *Memory) Add(ctx context.Context, key Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch next := len(m.keys[key.Owner]) + 1; {
	case key.Version < next:
		return ErrExists
	case key.Version > next:
		return errVersion
	case next == 1 && len(m.keys) >= m.max:
		return errFull
	}
	key.Wrapped = bytes.Clone(key.Wrapped)
	m.keys[key.Owner] = append(m.keys[key.Owner], key)
	return nil
}

// Rewrap implements [Store].
func (m *Memory) Rewrap(ctx context.Context, key Key, old []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := m.keys[key.Owner]
	i := key.Version - 1
	if i < 0 || i >= len(keys) || !bytes.Equal(keys[i].Wrapped, old) {
		return ErrExists
	}
	keys[i].KEK, keys[i].Wrapped = key.KEK, bytes.Clone(key.Wrapped)
	return nil
}

// Shred implements [Store].
func (m *Memory) Shred(ctx context.Context, owner Owner) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.keys[owner] {
		clear(m.keys[owner][i].Wrapped)
	}
	delete(m.keys, owner)
	return nil
}
