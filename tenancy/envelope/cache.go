package envelope

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// cache holds unwrapped keys for a while. What it gives up is zeroed as far as the
// standard library lets: secrets are, an AES key schedule is left to the collector.
type cache struct {
	size int
	ttl  time.Duration

	mu      sync.RWMutex
	entries map[Owner]*entry
	flights map[Owner]*flight

	// front finds most entries without the lock, by a hash of their owner. Each is in
	// entries as well.
	seed  maphash.Seed
	front [frontSize]atomic.Pointer[entry]

	// byCommit finds most keys without hashing anything: what is opened names its key
	// by a commitment, whose first byte is as good as a hash. Each is in entries as
	// well, and of the owner that it says.
	byCommit [frontSize]atomic.Pointer[ownedKey]
}

const frontSize = 256

// ownedKey is a key and whose it is. It never changes.
type ownedKey struct {
	owner Owner
	*dataKey
}

func (c *cache) slot(owner Owner) *atomic.Pointer[entry] {
	return &c.front[maphash.Comparable(c.seed, owner)%frontSize]
}

// entry is what is known of an owner.
type entry struct {
	owner  Owner
	keys   atomic.Pointer[[]*dataKey] // the slice is replaced, never changed
	newest atomic.Pointer[dataKey]    // nil until something is sealed
	left   atomic.Int64               // seals that are reserved for newest
	timer  *time.Timer
}

// get returns the entry of an owner, or nil.
func (c *cache) get(owner Owner) *entry {
	if e := c.slot(owner).Load(); e != nil && e.owner == owner {
		return e
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.entries[owner]
}

// seal takes one of the reserved seals of the newest key, or returns nil.
func (e *entry) seal() *dataKey {
	if k := e.newest.Load(); k != nil && e.left.Add(-1) >= 0 {
		return k
	}
	return nil
}

// flight is a load under way, one per owner.
type flight struct {
	done  chan struct{}
	err   error
	again bool // whoever waited has to try for itself
	stale bool // forgotten meanwhile
}

// sealing returns the owner's newest key, and takes one of its reserved seals.
func (v *Vault) sealing(ctx context.Context, owner Owner) (*dataKey, error) {
	if e := v.get(owner); e != nil {
		if k := e.seal(); k != nil {
			return k, nil
		}
	}
	return v.load(ctx, owner, (*entry).seal, func(ctx context.Context) (*dataKey, error) {
		record, err := v.newest(ctx, owner, block)
		if err != nil {
			return nil, err
		}
		return v.known(ctx, owner, record)
	}, block)
}

// opening returns the owner's key with this commitment.
func (v *Vault) opening(
	ctx context.Context, owner Owner, commit []byte,
) (*dataKey, error) {
	k := v.byCommit[commit[0]].Load()
	if k != nil && string(k.commit[:]) == string(commit) && k.owner == owner {
		return k.dataKey, nil
	}
	if e := v.get(owner); e != nil {
		for _, k := range *e.keys.Load() {
			if string(k.commit[:]) == string(commit) {
				return k, nil
			}
		}
	}
	return v.fetch(ctx, owner, [CommitSize]byte(commit))
}

// fetch is opening the long way.
func (v *Vault) fetch(
	ctx context.Context, owner Owner, commit [CommitSize]byte,
) (*dataKey, error) {
	return v.load(ctx, owner, func(e *entry) *dataKey { return e.find(commit) },
		func(ctx context.Context) (*dataKey, error) {
			records, err := v.cfg.Store.Load(ctx, owner, 0)
			if err != nil {
				return nil, err
			}
			if len(records) == 0 {
				return nil, ErrShredded
			}
			for _, record := range records {
				if record.Commit == commit {
					return v.known(ctx, owner, record)
				}
			}
			return nil, ErrOpen
		}, 0)
}

func (e *entry) find(commit [CommitSize]byte) *dataKey {
	for _, k := range *e.keys.Load() {
		if k.commit == commit {
			return k
		}
	}
	return nil
}

// known returns the key of a record, unwrapping it only if it is not there already.
func (v *Vault) known(ctx context.Context, owner Owner, record Key) (*dataKey, error) {
	if e := v.get(owner); e != nil {
		if k := e.find(record.Commit); k != nil {
			return k, nil
		}
	}
	secret, k, err := v.unwrap(ctx, record)
	clear(secret)
	return k, err
}

// load fetches once for all who want a key of the same owner. It returns what pick finds
// afterwards. Reserved is not 0 for sealing.
//
// Who comes first fetches with its own context; the others wait, then look again. After a
// Forget meanwhile, what was fetched is not kept, and all fetch again: a key that was
// shredded must not come back because somebody was slow.
func (v *Vault) load(
	ctx context.Context, owner Owner, pick func(*entry) *dataKey,
	fetch func(context.Context) (*dataKey, error), reserved int64,
) (*dataKey, error) {
	ctx, cancel := context.WithTimeout(ctx, v.cfg.Timeout)
	defer cancel()
	for {
		v.mu.Lock()
		if e := v.entries[owner]; e != nil { // somebody else's flight may have brought it
			if k := pick(e); k != nil {
				v.mu.Unlock()
				return k, nil
			}
		}
		f, waiting := v.flights[owner]
		if !waiting {
			f = &flight{done: make(chan struct{}), again: true}
			v.flights[owner] = f
		}
		v.mu.Unlock()
		if !waiting {
			k, err := v.fly(ctx, owner, f, fetch, reserved)
			if err != nil || !f.again {
				return k, err
			}
		} else {
			select {
			case <-f.done:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			if f.err != nil && !f.again {
				return nil, f.err
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}

// fly fetches, and keeps the key unless the owner was forgotten meanwhile.
func (v *Vault) fly(
	ctx context.Context, owner Owner, f *flight,
	fetch func(context.Context) (*dataKey, error), reserved int64,
) (k *dataKey, err error) {
	defer func() { // a panic of the store's or the KEK's must not leave others waiting
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.flights[owner] == f {
			delete(v.flights, owner)
		}
		f.err = err
		// An error may be about this context or this key alone.
		f.again = f.again || f.stale || ctx.Err() != nil || reserved == 0
		if k != nil && !f.stale {
			v.keep(owner, k, reserved)
			f.again = false
		}
		close(f.done)
	}()
	k, err = fetch(ctx)
	f.again = false
	return k, err
}

// keep adds a key. The first seal of a reservation is the caller's own. The lock is held.
// The entry ends CacheTTL after its first key, however many follow: a later key must not
// keep an earlier one alive.
func (c *cache) keep(owner Owner, k *dataKey, reserved int64) {
	e := c.entries[owner]
	if e == nil {
		c.makeRoom()
		e = &entry{owner: owner}
		e.keys.Store(&[]*dataKey{})
		e.timer = time.AfterFunc(c.ttl, func() { c.expire(owner, e) })
		c.entries[owner] = e
	}
	if e.find(k.commit) == nil {
		more := append(slices.Clone(*e.keys.Load()), k)
		e.keys.Store(&more)
		c.byCommit[k.commit[0]].Store(&ownedKey{owner, k})
	}
	if reserved > 0 {
		e.left.Store(0) // not the new key's, should another process have rotated
		e.newest.Store(k)
		e.left.Store(reserved - 1)
	}
	c.slot(owner).Store(e)
}

// makeRoom gives up some entry: which one does not matter much, and an order would cost
// every seal something. The lock is held.
func (c *cache) makeRoom() {
	for owner, e := range c.entries {
		if len(c.entries) < c.size {
			return
		}
		c.drop(owner, e)
	}
}

// drop zeroes. The lock is held.
func (c *cache) drop(owner Owner, e *entry) {
	e.timer.Stop()
	c.slot(owner).CompareAndSwap(e, nil)
	for _, k := range *e.keys.Load() {
		slot := &c.byCommit[k.commit[0]]
		if front := slot.Load(); front != nil && front.dataKey == k {
			slot.Store(nil)
		}
		clear(k.root[:])
		k.dead = true
	}
	delete(c.entries, owner)
}

func (c *cache) expire(owner Owner, e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries[owner] == e {
		c.drop(owner, e)
	}
}

func (c *cache) forget(owner Owner) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flights[owner]; f != nil {
		f.stale = true
		delete(c.flights, owner)
	}
	if e := c.entries[owner]; e != nil {
		c.drop(owner, e)
	}
}
