package recording

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/opsmantik/sallyport/tenancy/envelope"
)

// KeyFiles is an envelope.Store in a directory, a file for each owner, for one process:
// enough for a demo on one machine. Keep the directory out of backups that outlive an
// erasure. A disk may keep the blocks of a file that was removed: in production, have
// keys in a database, and wrapped by a KMS.
type KeyFiles struct {
	dir *Dir
	mu  sync.Mutex
}

// NewKeyFiles returns a store of keys in a directory.
func NewKeyFiles(dir string) (*KeyFiles, error) {
	d, err := NewDir(dir)
	if err != nil {
		return nil, err
	}
	return &KeyFiles{dir: d}, nil
}

// Close closes the directory.
func (k *KeyFiles) Close() error { return k.dir.Close() }

func ownerFile(owner envelope.Owner) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s", len(owner.Site), owner.Site, owner.Subject))
	return hex.EncodeToString(sum[:])
}

func (k *KeyFiles) read(owner envelope.Owner) ([]envelope.Key, error) {
	raw, err := k.dir.root.ReadFile(ownerFile(owner))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var keys []envelope.Key
	err = json.Unmarshal(raw, &keys)
	return keys, err
}

func (k *KeyFiles) write(ctx context.Context, owner envelope.Owner, keys []envelope.Key) error {
	raw, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	return k.dir.Put(ctx, ownerFile(owner), raw)
}

// change reads an owner's keys, and writes them back if edit says so.
func (k *KeyFiles) change(
	ctx context.Context, owner envelope.Owner, edit func([]envelope.Key) ([]envelope.Key, bool, error),
) ([]envelope.Key, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	keys, err := k.read(owner)
	if err != nil {
		return nil, err
	}
	keys, changed, err := edit(keys)
	if err != nil || !changed {
		return keys, err
	}
	return keys, k.write(ctx, owner, keys)
}

// Load implements envelope.Store.
func (k *KeyFiles) Load(
	ctx context.Context, owner envelope.Owner, reserve uint64,
) ([]envelope.Key, error) {
	return k.change(ctx, owner, func(keys []envelope.Key) ([]envelope.Key, bool, error) {
		if len(keys) == 0 || reserve == 0 {
			return keys, false, nil
		}
		keys[len(keys)-1].Seals += reserve
		return keys, true, nil
	})
}

// Add implements envelope.Store.
func (k *KeyFiles) Add(ctx context.Context, key envelope.Key) error {
	_, err := k.change(ctx, key.Owner, func(keys []envelope.Key) ([]envelope.Key, bool, error) {
		if key.Version != len(keys)+1 {
			return nil, false, envelope.ErrExists
		}
		return append(keys, key), true, nil
	})
	return err
}

// Rewrap implements envelope.Store.
func (k *KeyFiles) Rewrap(ctx context.Context, key envelope.Key, old []byte) error {
	_, err := k.change(ctx, key.Owner, func(keys []envelope.Key) ([]envelope.Key, bool, error) {
		for i := range keys {
			if keys[i].Version == key.Version && bytes.Equal(keys[i].Wrapped, old) {
				keys[i].KEK, keys[i].Wrapped = key.KEK, key.Wrapped
				return keys, true, nil
			}
		}
		return nil, false, envelope.ErrExists
	})
	return err
}

// Shred implements envelope.Store.
func (k *KeyFiles) Shred(ctx context.Context, owner envelope.Owner) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return errors.Join(k.dir.Delete(ctx, ownerFile(owner)), k.dir.sync("."))
}
