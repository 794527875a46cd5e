package sqlite_test

import (
	"context"
	"errors"
	"math"
	"os"
	osexec "os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/examples/ingest/store/storetest"
	"github.com/opsmantik/sallyport/tenancy"
	"github.com/opsmantik/sallyport/tenancy/apikey"
)

// broken is a store with one fault.
type broken struct {
	store.Store
	fault string
}

// faults are what the suite has to find.
var faults = []string{
	"recognises nothing", "keeps half a batch",
	"takes codes twice", "believes any clock", "takes recovery codes twice",
	"accepts after closing", "is always ready", "lists without a scope",
	"forgets failures", "counts a conflict as a repeat",
	"lets counters go back", "takes anybody's key",
	"adds to whatever there is", "removes anybody's key", "lists from the beginning", "lists all events",
	"lists ended keys", "lists any number of keys", "lists keys without a scope",
}

// APIKeys have their own faults.
func (b broken) APIKeys() store.APIKeys { return brokenKeys{b.Store.APIKeys(), b.fault} }

type brokenKeys struct {
	store.APIKeys
	fault string
}

func (b brokenKeys) List(
	ctx context.Context, scope tenancy.Scope, now time.Time, limit int,
) ([]apikey.Record, error) {
	switch b.fault {
	case "lists ended keys":
		now = now.Add(-time.Microsecond)
	case "lists any number of keys":
		limit = 1000
	case "lists keys without a scope":
		if scope.Check() != nil {
			return nil, nil
		}
	}
	return b.APIKeys.List(ctx, scope, now, limit)
}

func (b broken) Store2(ctx context.Context, batch []event.Received) (store.Stored, error) {
	return b.Store.Store(ctx, batch)
}

// keeper is the part of broken whose method has the name of its field.
type keeper struct{ broken }

func (b keeper) Store(ctx context.Context, batch []event.Received) (all store.Stored, err error) {
	switch b.fault {
	case "recognises nothing":
		for i := range batch {
			batch[i].Identity, batch[i].Fold = nil, 0
			if batch[i].Event != nil {
				batch[i].Event.Session, batch[i].Event.Meta = "", nil
			}
		}
	case "keeps half a batch":
		for i := range batch {
			stored, err := b.Store2(ctx, batch[i:i+1])
			all.New, all.Duplicates = all.New+stored.New, all.Duplicates+stored.Duplicates
			if err != nil {
				return all, err
			}
		}
		return all, nil
	case "counts a conflict as a repeat":
		all, err = b.Store2(ctx, batch)
		return store.Stored{New: all.New, Duplicates: all.Duplicates + all.Conflicts}, err
	}
	all, err = b.Store2(ctx, batch)
	if b.fault == "accepts after closing" && errors.Is(err, store.ErrClosed) {
		err = nil
	}
	return all, err
}

func (b keeper) SpendTOTP(ctx context.Context, user string, step, latest int64) (bool, error) {
	if b.fault == "believes any clock" {
		latest = math.MaxInt64
	}
	spent, err := b.broken.Store.SpendTOTP(ctx, user, step, latest)
	return spent || b.fault == "takes codes twice", err
}

func (b keeper) SpendRecovery(ctx context.Context, user string, digest []byte) (bool, error) {
	spent, err := b.broken.Store.SpendRecovery(ctx, user, digest)
	return spent || b.fault == "takes recovery codes twice", err
}

func (b keeper) FactorFailed(ctx context.Context, user string, now time.Time) error {
	if b.fault == "forgets failures" {
		return nil
	}
	return b.broken.Store.FactorFailed(ctx, user, now)
}

func (b keeper) UseKey(
	ctx context.Context, user, id string, counter uint32, now time.Time,
) (bool, error) {
	used, err := b.broken.Store.UseKey(ctx, user, id, counter, now)
	return used || b.fault == "lets counters go back", err
}

func (b keeper) AddKey(ctx context.Context, key store.SecurityKey, have int) error {
	err := b.broken.Store.AddKey(ctx, key, have)
	if b.fault == "takes anybody's key" && errors.Is(err, store.ErrKeyExists) {
		return nil
	}
	for range 9 { // until the number is right
		if b.fault != "adds to whatever there is" || !errors.Is(err, store.ErrKeysChanged) {
			break
		}
		list, _ := b.Keys(ctx, key.User)
		err = b.broken.Store.AddKey(ctx, key, len(list))
	}
	return err
}

func (b keeper) RemoveKey(ctx context.Context, user, id string) (bool, error) {
	removed, err := b.broken.Store.RemoveKey(ctx, user, id)
	return removed || b.fault == "removes anybody's key", err
}

func (b keeper) Visits(
	ctx context.Context, scope tenancy.Scope, after store.VisitPlace, limit int,
) ([]store.VisitRow, error) {
	if b.fault == "lists from the beginning" {
		after = store.VisitPlace{}
	}
	return b.broken.Store.Visits(ctx, scope, after, limit)
}

func (b keeper) VisitEvents(
	ctx context.Context, scope tenancy.Scope, visit string, limit int,
) ([]store.EventRow, error) {
	if b.fault == "lists all events" {
		return b.Events(ctx, scope, limit)
	}
	return b.broken.Store.VisitEvents(ctx, scope, visit, limit)
}

func (b keeper) Ready(ctx context.Context) error {
	if b.fault == "is always ready" {
		return nil
	}
	return b.broken.Store.Ready(ctx)
}

func (b keeper) Calls(ctx context.Context, scope tenancy.Scope, limit int) ([]store.CallRow, error) {
	if b.fault == "lists without a scope" && scope.Check() != nil {
		return nil, nil
	}
	return b.broken.Store.Calls(ctx, scope, limit)
}

const faultVariable = "STORETEST_FAULT"

// TestBroken is run by TestTheSuitesFindEveryFault alone: a store or a queue, then
// what is wrong with it.
func TestBroken(t *testing.T) {
	kind, fault, ok := strings.Cut(os.Getenv(faultVariable), ":")
	if !ok {
		t.Skip("for the test below")
	}
	off := func(t testing.TB, dir string) *sqlite.DB {
		db, err := sqlite.Open(t.Context(), dir, sqlite.DangerouslyOff)
		require.NoError(t, err)
		return db
	}
	if kind == "store" {
		storetest.Run(t, func(t testing.TB, dir string) store.Store {
			return keeper{broken{off(t, dir), fault}}
		})
		return
	}
	storetest.RunQueue(t, func(t testing.TB, dir string) store.Queue {
		return storetest.FaultyQueue{Queue: off(t, dir), Fault: fault}
	})
}

func TestTheSuitesFindEveryFault(t *testing.T) {
	t.Parallel()
	seeded := []string{"store:none", "queue:none"}
	for _, fault := range faults {
		seeded = append(seeded, "store:"+fault)
	}
	for _, fault := range storetest.QueueFaults {
		seeded = append(seeded, "queue:"+fault)
	}
	for _, fault := range seeded {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			// #nosec G204 -- this test's own binary
			cmd := osexec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBroken$",
				"-test.timeout=2m")
			cmd.Env = append(os.Environ(), faultVariable+"="+fault)
			out, err := cmd.CombinedOutput()
			if strings.HasSuffix(fault, ":none") {
				require.NoError(t, err, "%s", out)
				return
			}
			require.Error(t, err, "the suite does not notice")
			require.Contains(t, string(out), "--- FAIL")
		})
	}
}
