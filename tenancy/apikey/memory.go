package apikey

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

// MemoryConfig configures a [Memory].
type MemoryConfig struct {
	_ [0]func() // keyed literals only

	// MaxKeys bounds the store, ended keys included. Default 10000, at most 1e6.
	MaxKeys int
}

// Memory is a [Store] in this process, for tests and for one instance that may lose
// its keys when it restarts. It is safe for concurrent use.
type Memory struct {
	mu      sync.Mutex
	max     int
	records map[string]*Record // by id
	ids     map[[sha256.Size]byte]string
}

var errFull = errors.New("apikey: the memory store is full")

const (
	defaultMaxKeys = 10_000
	maxMaxKeys     = 1_000_000
)

// NewMemory returns an empty store.
func NewMemory(cfg MemoryConfig) (*Memory, error) {
	if cfg.MaxKeys == 0 {
		cfg.MaxKeys = defaultMaxKeys
	}
	if cfg.MaxKeys < 1 || cfg.MaxKeys > maxMaxKeys {
		list := configerr.For(gateName)
		list.Add("MaxKeys", fmt.Sprint(cfg.MaxKeys), sallyport.ConfigOutOfRange,
			fmt.Sprintf("want 1 to %d", maxMaxKeys))
		return nil, list.Err()
	}
	return &Memory{
		max: cfg.MaxKeys, records: map[string]*Record{}, ids: map[[sha256.Size]byte]string{},
	}, nil
}

// Create implements [Store].
func (m *Memory) Create(ctx context.Context, r Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, taken := m.ids[r.Hash]
	switch {
	case m.records[r.ID] != nil || taken:
		return ErrExists
	case len(m.records) >= m.max:
		return errFull
	}
	r = r.clone()
	m.records[r.ID] = &r
	m.ids[r.Hash] = r.ID
	return nil
}

// Find implements [Store].
func (m *Memory) Find(ctx context.Context, hash [sha256.Size]byte) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[m.ids[hash]]
	if r == nil {
		return Record{}, ErrNotFound
	}
	return r.clone(), nil
}

// End implements [Store].
func (m *Memory) End(ctx context.Context, user, id string, at time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[id]
	if r == nil || r.User != user {
		return ErrNotFound
	}
	if r.Revoked.IsZero() || at.Before(r.Revoked) {
		r.Revoked = at
	}
	return nil
}

// Touch implements [Store].
func (m *Memory) Touch(ctx context.Context, id string, at time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records[id]
	if r != nil && at.After(r.LastUsed) && (r.Revoked.IsZero() || at.Before(r.Revoked)) {
		r.LastUsed = at
	}
	return nil
}

// List returns a user's keys, the newest first.
func (m *Memory) List(user string) []Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Record
	for _, r := range m.records {
		if r.User == user {
			all = append(all, r.public())
		}
	}
	slices.SortFunc(all, func(a, b Record) int {
		if n := b.Created.Compare(a.Created); n != 0 {
			return n
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}
