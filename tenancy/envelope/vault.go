package envelope

import (
	"context"
	"crypto/rand"
	"errors"
	"hash/maphash"
	"slices"
	"time"
)

// Vault seals and opens. It is safe for concurrent use. The zero value, and nil, do
// neither.
type Vault struct {
	cfg  Config
	keks map[string]KEK
	cache
}

// New returns a vault, or every problem of cfg at once.
func New(cfg Config) (*Vault, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	v := &Vault{cfg: cfg, keks: map[string]KEK{}}
	for _, k := range append(slices.Clone(cfg.OldKEKs), cfg.KEK) {
		v.keks[k.ID()] = k
	}
	v.size, v.ttl, v.seed = cfg.CacheSize, cfg.CacheTTL, maphash.MakeSeed()
	v.entries, v.flights = map[Owner]*entry{}, map[Owner]*flight{}
	return v, nil
}

// Place is where a sealed value belongs, and whose it is. It opens nowhere else: not in
// another row, column, table or site, and not as another person's.
type Place struct {
	Site string
	// Subject is the person whose value it is: [Vault.Shred] of the subject ends it. Empty
	// for what is the site's own.
	Subject            string
	Table, Column, Row string
}

func (p *Place) owner() Owner { return Owner{p.Site, p.Subject} }

func (p *Place) valid() bool {
	return p.Site != "" && p.Table != "" && p.Column != "" && p.Row != ""
}

// The formats, the first byte of what is sealed. The place is part of the additional
// data, after the format's own label.
const (
	formatCell = 1
	formatFile = 2
	labelCell  = "c" // short: its bytes are authenticated with every cell
	labelFile  = "f"
)

const headerSize = 1 + CommitSize + nonceSize

// Overhead is how much longer a sealed value is than its plaintext.
const Overhead = headerSize + tagSize

// appendAAD is the additional data of a place.
func (p *Place) appendAAD(b []byte, label string) []byte {
	return appendParts(b, label, p.Site, p.Subject, p.Table, p.Column, p.Row)
}

// Seal appends the sealed plaintext to dst, whose spare room must not overlap with it,
// and returns the longer slice. With room enough in dst it allocates nothing, except
// where the owner's key has to be made or unwrapped.
func (v *Vault) Seal(ctx context.Context, dst []byte, at Place, plaintext []byte) ([]byte, error) {
	if v == nil || v.entries == nil {
		return nil, errZero
	}
	if !at.valid() {
		return nil, ErrPlace
	}
	k, err := v.sealing(ctx, at.owner())
	if err != nil {
		return nil, err
	}
	n := len(dst)
	out := slices.Grow(dst, Overhead+len(plaintext))[:n+headerSize]
	header := out[n:]
	header[0] = formatCell
	copy(header[1:], k.commit[:])
	nonce := header[1+CommitSize:]
	_, _ = rand.Read(nonce) // never fails: it ends the program instead

	aad, _ := scratch.Get().(*[]byte)
	*aad = at.appendAAD((*aad)[:0], labelCell)
	out = k.aead.Seal(out, nonce, plaintext, *aad) // #nosec G407 -- random, above
	scratch.Put(aad)
	return out, nil
}

// Open appends what was sealed at this place to dst, and returns the longer slice. The
// error is [ErrOpen] for what does not open there, [ErrShredded] if the owner has no
// keys, [ErrPlace], or one of the store or the KEK, after which it may open later.
func (v *Vault) Open(ctx context.Context, dst []byte, at Place, sealed []byte) ([]byte, error) {
	if v == nil || v.entries == nil {
		return nil, errZero
	}
	if !at.valid() {
		return nil, ErrPlace
	}
	if len(sealed) < Overhead || sealed[0] != formatCell {
		return nil, ErrOpen
	}
	k, err := v.opening(ctx, at.owner(), sealed[1:1+CommitSize])
	if err != nil {
		return nil, err
	}
	aad, _ := scratch.Get().(*[]byte)
	*aad = at.appendAAD((*aad)[:0], labelCell)
	out, err := k.aead.Open(dst, sealed[1+CommitSize:headerSize], sealed[headerSize:], *aad)
	scratch.Put(aad)
	if err != nil {
		return nil, ErrOpen
	}
	return out, nil
}

// Handle returns the random name that stands for an owner, as an audit log writes it
// instead of a person's id, and makes the owner's first key if there is none. After a
// [Vault.Shred] the owner gets another one.
func (v *Vault) Handle(ctx context.Context, owner Owner) (string, error) {
	if v == nil || v.entries == nil {
		return "", errZero
	}
	if owner.Site == "" {
		return "", ErrPlace
	}
	ctx, cancel := context.WithTimeout(ctx, v.cfg.Timeout)
	defer cancel()
	key, err := v.newest(ctx, owner, 0)
	return key.Handle, err
}

// Shred destroys the keys of an owner: whatever was sealed for it, in whatever copy or
// backup, is never readable again. A backup of the store of keys undoes that, for as
// long as it exists. Other processes may open for Config.CacheTTL more, or until their
// Forget; a file that is open stays so.
func (v *Vault) Shred(ctx context.Context, owner Owner) error {
	if v == nil || v.entries == nil {
		return errZero
	}
	ctx, cancel := context.WithTimeout(ctx, v.cfg.Timeout)
	defer cancel()
	err := v.cfg.Store.Shred(ctx, owner)
	v.Forget(owner) // whatever the store says: it may have been done
	return err
}

// Forget drops the unwrapped keys of an owner in this process.
func (v *Vault) Forget(owner Owner) {
	if v != nil && v.entries != nil {
		v.forget(owner)
	}
}

// Rewrap wraps the keys of each owner with Config.KEK that another KEK has wrapped. The
// data stays as it is. Progress, if set, is called after each owner with how many there
// were and how many keys were wrapped anew. An owner that fails does not stop the rest;
// the errors are joined.
func (v *Vault) Rewrap(
	ctx context.Context, owners func(yield func(Owner) bool), progress func(owners, keys int),
) error {
	if v == nil || v.entries == nil {
		return errZero
	}
	var errs []error
	done, keys := 0, 0
	for owner := range owners {
		n, err := v.rewrap(ctx, owner)
		done, keys = done+1, keys+n
		if err != nil {
			errs = append(errs, err)
		}
		if progress != nil {
			progress(done, keys)
		}
		if ctx.Err() != nil {
			errs = append(errs, ctx.Err())
			break
		}
	}
	return errors.Join(errs...)
}

func (v *Vault) rewrap(ctx context.Context, owner Owner) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, v.cfg.Timeout)
	defer cancel()
	records, err := v.cfg.Store.Load(ctx, owner, 0)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, record := range records {
		if record.KEK == v.cfg.KEK.ID() {
			continue
		}
		secret, _, err := v.unwrap(ctx, record)
		if err != nil {
			return n, err
		}
		old := record.Wrapped
		record.KEK = v.cfg.KEK.ID()
		record.Wrapped, err = v.cfg.KEK.Wrap(ctx, secret, wrapAAD(owner))
		clear(secret)
		if err != nil {
			return n, err
		}
		err = v.cfg.Store.Rewrap(ctx, record, old)
		if err != nil && !errors.Is(err, ErrExists) { // another process was faster
			return n, err
		}
		n++
	}
	return n, nil
}

// maxSeals is how many messages a key seals: with random nonces of 96 bits, 2^32 make a
// repetition as likely as 2^-32 (NIST SP 800-38D section 8.3).
const maxSeals = 1 << 32

// block is how many seals a process reserves at a time, so that all processes together
// stay below maxSeals although none asks the store for each.
const block = 4096

// newest returns the owner's newest key, with reserve more seals, and makes one if there
// is none, or if it is too old or too much used.
func (v *Vault) newest(ctx context.Context, owner Owner, reserve uint64) (Key, error) {
	for {
		records, err := v.cfg.Store.Load(ctx, owner, reserve)
		if err != nil {
			return Key{}, err
		}
		next := Key{Owner: owner, Version: 1, Handle: newHandle(), Seals: reserve}
		if len(records) > 0 {
			last := records[len(records)-1]
			if reserve == 0 || last.Seals <= maxSeals &&
				time.Since(last.Created) < v.cfg.RotateAfter {
				return last, nil
			}
			next.Version, next.Handle = last.Version+1, last.Handle
		}
		if err := v.wrapNew(ctx, &next); err != nil {
			return Key{}, err
		}
		err = v.cfg.Store.Add(ctx, next)
		if err == nil {
			return next, nil
		}
		if !errors.Is(err, ErrExists) {
			return Key{}, err
		}
		if err := ctx.Err(); err != nil {
			return Key{}, err
		}
		// Another process made one: take that.
	}
}

// wrapNew fills a record with a new key. The secret is dropped here and unwrapped again
// before the first seal: a KEK that cannot unwrap what it has wrapped is found out before
// anything depends on it.
func (v *Vault) wrapNew(ctx context.Context, record *Key) error {
	secret := newSecret()
	defer clear(secret)
	k, err := newDataKey(secret)
	if err != nil {
		return err
	}
	record.Commit = k.commit
	clear(k.root[:])
	record.KEK = v.cfg.KEK.ID()
	record.Created = time.Now().UTC().Truncate(time.Microsecond) // as exact as databases are
	record.Wrapped, err = v.cfg.KEK.Wrap(ctx, secret, wrapAAD(record.Owner))
	return err
}

var (
	errKEK    = errors.New("envelope: no KEK of Config has this ID")
	errCommit = errors.New("envelope: the unwrapped key is not the one of the record")
)

// unwrap returns the secret of a record, which the caller clears, and its key.
func (v *Vault) unwrap(ctx context.Context, record Key) ([]byte, *dataKey, error) {
	kek := v.keks[record.KEK]
	if kek == nil {
		return nil, nil, errKEK
	}
	secret, err := kek.Unwrap(ctx, record.Wrapped, wrapAAD(record.Owner))
	if err != nil {
		return nil, nil, err
	}
	if len(secret) != keySize {
		clear(secret)
		return nil, nil, errCommit
	}
	k, err := newDataKey(secret)
	if err == nil && k.commit != record.Commit {
		err = errCommit
	}
	if err != nil {
		clear(secret)
		return nil, nil, err
	}
	return secret, k, nil
}
