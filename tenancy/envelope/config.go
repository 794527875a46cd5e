package envelope

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

// KEK is a key encryption key of the caller's: it wraps data keys, and never leaves
// where it lives. [LocalKEK] is for development; the package's examples show the shape
// for AWS KMS, Google Cloud KMS and Vault's transit engine.
//
// Unwrap must fail for a blob that was wrapped with other additional data.
type KEK interface {
	// ID names the key: its ARN, its resource name. It is kept with what it wraps.
	ID() string
	Wrap(ctx context.Context, key, aad []byte) (wrapped []byte, err error)
	Unwrap(ctx context.Context, wrapped, aad []byte) (key []byte, err error)
}

// Config configures a [Vault]. New copies it.
type Config struct {
	_ [0]func() // keyed literals only

	// KEK wraps new data keys. Required. It is asked when an owner's key is made, and
	// once per owner and CacheTTL after that, not per value.
	KEK KEK

	// OldKEKs unwrap what they have wrapped, until [Vault.Rewrap] has been everywhere.
	OldKEKs []KEK

	// Store keeps wrapped data keys. Required. Keep it apart from the data, and out of
	// backups that outlive an erasure: who restores a wrapped key undoes a [Vault.Shred].
	Store Store

	// RotateAfter is how long a data key seals; it opens for ever. Default 90 days, at
	// least a minute, at most 10 years. What is old stays under its old key: open and
	// seal it again to bring it under the new one.
	RotateAfter time.Duration

	// CacheTTL is how long a data key is kept unwrapped, and so how long another
	// process may go on after a Shred, unless it is told by [Vault.Forget]. Default 5
	// minutes, at least a second, at most an hour.
	CacheTTL time.Duration

	// CacheSize is of how many owners keys are kept unwrapped. Default 1024, at least 1,
	// at most 1e6. What is full gives up any of them, and asks the KEK again.
	CacheSize int

	// Timeout bounds what one call waits for the store and the KEK together. Default
	// 5 s, at least a millisecond, at most a minute.
	Timeout time.Duration
}

const (
	day           = 24 * time.Hour
	defaultRotate = 90 * day
	maxRotate     = 3650 * day
	defaultCache  = 1024
	maxCache      = 1_000_000
	defaultTTL    = 5 * time.Minute
	defaultWithin = 5 * time.Second
)

func (c Config) withDefaults() Config {
	if c.RotateAfter == 0 {
		c.RotateAfter = defaultRotate
	}
	if c.CacheTTL == 0 {
		c.CacheTTL = defaultTTL
	}
	if c.CacheSize == 0 {
		c.CacheSize = defaultCache
	}
	if c.Timeout == 0 {
		c.Timeout = defaultWithin
	}
	return c
}

// validate reports every problem at once.
func (c Config) validate() error {
	list := configerr.For("envelope")
	if c.Store == nil {
		list.Add("Store", "", sallyport.ConfigRequired, "say where wrapped keys are kept")
	}
	seen := map[string]bool{}
	kek := func(field string, k KEK) {
		switch {
		case k == nil:
			list.Add(field, "", sallyport.ConfigRequired, "name a key that wraps data keys")
		case k.ID() == "":
			list.Add(field, "", sallyport.ConfigMalformed, "its ID is empty")
		case seen[k.ID()]:
			list.Add(field, k.ID(), sallyport.ConfigDuplicate, "another KEK has this ID")
		default:
			seen[k.ID()] = true
		}
	}
	kek("KEK", c.KEK)
	for i, k := range c.OldKEKs {
		kek(fmt.Sprintf("OldKEKs[%d]", i), k)
	}
	within := func(field string, value, least, most time.Duration) {
		if value < least || value > most {
			list.Add(field, value.String(), sallyport.ConfigOutOfRange,
				fmt.Sprintf("want %v to %v", least, most))
		}
	}
	within("RotateAfter", c.RotateAfter, time.Minute, maxRotate)
	within("CacheTTL", c.CacheTTL, time.Second, time.Hour)
	within("Timeout", c.Timeout, time.Millisecond, time.Minute)
	if c.CacheSize < 1 || c.CacheSize > maxCache {
		list.Add("CacheSize", fmt.Sprint(c.CacheSize), sallyport.ConfigOutOfRange,
			fmt.Sprintf("want 1 to %d", maxCache))
	}
	return list.Err()
}

var (
	// ErrOpen is what everything returns that does not open: changed, moved to another
	// place, of another key. Why is not told.
	ErrOpen = errors.New("envelope: it does not open")
	// ErrShredded is what an owner without keys returns: nothing of it can be read, now
	// or ever.
	ErrShredded = errors.New("envelope: the owner has no keys")
	// ErrPlace is a [Place] that does not say where.
	ErrPlace = errors.New("envelope: a place names a site, a table, a column and a row")
	// ErrExists is for stores: the owner's newest key is another one.
	ErrExists = errors.New("envelope: the key exists")

	errZero = errors.New("envelope: the vault was not made by New")
)
