package audit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
)

// hammer appends from several goroutines until something fails, and returns what
// was acknowledged.
func hammer(ctx context.Context, log *audit.Log, life, each, size int) map[int64]ack {
	var mu sync.Mutex
	acks := map[int64]ack{}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range each {
				rec := record(fmt.Sprintf("%d-%d-%d", life, worker, i))
				rec.Reason = strings.Repeat("x", size)
				receipt, err := log.Append(ctx, rec)
				if err != nil {
					return
				}
				entry, _ := rec.Encode()
				mu.Lock()
				acks[receipt.Index] = ack{string(entry), receipt.Tree}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return acks
}

type ack struct {
	entry string
	tree  tlog.Tree
}

// crashes lets power fail at a random moment, over and over, during recovery too,
// and returns how much was acknowledged, lost and torn.
func crashes(t *testing.T, disks, lives int, lying bool) (total, lost, torn int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	for range disks {
		disk, kept := newSim(), map[int64]ack{}
		disk.lying = lying
		for life := range lives {
			disk.ops = rng.IntN(14)
			log, err := audit.NewOn(disk, audit.Config{Dir: "log"})
			if err == nil {
				if log.Torn() > 0 {
					torn++
				}
				for index, a := range hammer(t.Context(), log, life, 2, rng.IntN(4000)) {
					if !lying {
						require.NotContains(t, kept, index, "an index was given twice")
					}
					kept[index] = a
				}
				_ = log.Close()
			} else if !lying {
				require.ErrorIs(t, err, errCrash, "a crash must never look like tampering")
			}
			disk = disk.reboot(rng)
		}
		total += len(kept)
		lost += missing(t, disk, kept)
	}
	return total, lost, torn
}

// missing counts what was acknowledged and is not there after recovery, at its
// index, under its root.
func missing(t *testing.T, disk *sim, kept map[int64]ack) int {
	t.Helper()
	lost := len(kept)
	log, err := audit.NewOn(disk, audit.Config{Dir: "log"})
	if err != nil {
		return lost
	}
	require.NoError(t, log.Close())
	var head audit.Head
	roots := map[int64]tlog.Tree{}
	entries := map[int64]string{}
	for entry, err := range audit.Entries(simFS{disk}, 0) {
		require.NoError(t, err)
		entries[head.Size()] = string(entry)
		head = head.Next(entry)
		roots[head.Size()] = head.Tree()
	}
	for index, a := range kept {
		if entries[index] == a.entry && roots[a.tree.N] == a.tree {
			lost--
		}
	}
	return lost
}

// Over ten thousand crashes. Whatever was acknowledged is there afterwards, and every
// crash is recovered from without a tool.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	t.Parallel()
	disks := 1000
	if testing.Short() {
		disks = 100
	}
	total, lost, torn := crashes(t, disks, 11, false)
	t.Logf("%d acknowledged, %d torn batches", total, torn)
	require.Zero(t, lost)
	require.Greater(t, total, disks*11)
	require.Greater(t, torn, disks, "the test must produce torn batches")
}

// The test above would notice a log that does not sync.
func TestWithoutSyncMuchIsLost(t *testing.T) {
	t.Parallel()
	total, lost, _ := crashes(t, 50, 11, true)
	require.Greater(t, lost, total/10)
}

// Every operation of the disk fails once. The log answers no success that is not
// true, and never tries a second time on the same file.
func TestEveryDiskErrorIsFinal(t *testing.T) {
	t.Parallel()
	for _, failure := range []error{errors.New("EIO"), errFull} {
		for fault := range 40 {
			disk, kept := newSim(), map[int64]ack{}
			disk.fault, disk.faulty = fault, failure
			log, err := audit.NewOn(disk, audit.Config{Dir: "log"})
			if err == nil {
				kept = hammer(t.Context(), log, 0, 2, 300)
				broken := log.Err()
				if broken != nil {
					require.ErrorIs(t, broken, failure)
					syncs := disk.syncs
					_, err = log.Append(t.Context(), record("again"))
					requireCode(t, audit.CodeLogBroken, err)
					require.Equal(t, syncs, disk.syncs, "never retried")
				}
				require.Equal(t, broken != nil, log.Close() != nil)
			} else {
				require.ErrorIs(t, err, failure)
			}
			require.Zero(t, missing(t, disk.reboot(rand.New(rand.NewPCG(1, uint64(fault)))), kept))
		}
	}
}

func requireCode(t *testing.T, code string, err error) {
	t.Helper()
	refused, ok := errors.AsType[*sallyport.Refusal](err)
	require.True(t, ok, "got %v", err)
	require.Equal(t, code, refused.Code)
	require.Equal(t, "audit", refused.Gate)
}

// Linux reports a failed writeback once and then forgets it: a second fsync would
// say that all is well.
func TestAFailedSyncIsFatal(t *testing.T) {
	t.Parallel()
	disk := newSim()
	var events []sallyport.Event
	log, err := audit.NewOn(disk, audit.Config{
		Dir:     "log",
		OnEvent: func(_ context.Context, e sallyport.Event) { events = append(events, e) },
	})
	require.NoError(t, err)
	first, err := log.Append(t.Context(), record("1"))
	require.NoError(t, err)
	disk.mu.Lock()
	disk.fault, disk.faulty = 1, errors.New("EIO") // after the write
	before := disk.syncs
	disk.mu.Unlock()
	for range 3 {
		_, err = log.Append(t.Context(), record("2"))
		requireCode(t, audit.CodeLogBroken, err)
		require.ErrorContains(t, err, "EIO")
	}
	require.Equal(t, before, disk.syncs, "never retried")
	require.ErrorContains(t, log.Err(), "EIO")
	require.Equal(t, first.Tree, headOf(t, log).Tree(), "the head is what is durable")
	require.ErrorContains(t, log.Close(), "EIO")
	require.Len(t, events, 4)
	require.True(t, events[0].Allowed)
	require.Equal(t, audit.CodeLogBroken, events[3].Code)

	log, err = audit.NewOn(disk, audit.Config{Dir: "log"})
	require.NoError(t, err, "opening again finds out what is there")
	_, err = log.Append(t.Context(), record("3"))
	require.NoError(t, err)
	require.NoError(t, log.Close())
}

// blocked holds every Sync until it receives from release.
type blocked struct {
	*sim
	release chan struct{}
}

func (b *blocked) Open(path string) (audit.File, error) {
	f, err := b.sim.Open(path)
	return &blockedFile{f, b.release}, err
}

type blockedFile struct {
	audit.File
	release chan struct{}
}

func (f *blockedFile) Sync() error {
	<-f.release
	return f.File.Sync()
}

// All who wait during one fsync share the next one, and while the disk hangs a
// caller that gives up neither hangs with it nor is told a lie.
func TestGroupCommitAndAHungDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const waiters = 63
		fs := &blocked{newSim(), make(chan struct{}, 1)}
		fs.release <- struct{}{} // New syncs once
		log, err := audit.NewOn(fs, audit.Config{Dir: "log", Queue: waiters + 1})
		require.NoError(t, err)
		type answer struct {
			receipt audit.Receipt
			err     error
		}
		appending := func(ctx context.Context, id string) chan answer {
			answered := make(chan answer, 1)
			go func() {
				receipt, err := log.Append(ctx, record(id))
				answered <- answer{receipt, err}
			}()
			synctest.Wait() // until it waits for the disk, or for room
			return answered
		}
		answers := []chan answer{appending(t.Context(), "first")} // the disk hangs with it
		for i := range waiters {
			answers = append(answers, appending(t.Context(), fmt.Sprint(i)))
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		queued, full := appending(short, "queued"), appending(short, "too many")
		time.Sleep(time.Second)
		requireCode(t, audit.CodeOutcomeUnknown, (<-queued).err)
		err = (<-full).err
		requireCode(t, audit.CodeNotQueued, err)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Zero(t, headOf(t, log).Size(), "health checks do not hang with the disk")

		fs.release <- struct{}{}
		fs.release <- struct{}{}
		var trees []int64
		for i, answered := range answers {
			a := <-answered
			require.NoError(t, a.err)
			require.EqualValues(t, i, a.receipt.Index)
			trees = append(trees, a.receipt.Tree.N)
		}
		require.Equal(t, append([]int64{1}, slices.Repeat([]int64{waiters + 2}, waiters)...), trees,
			"two batches")
		require.NoError(t, log.Close())
	})
}

// Whatever goes wrong while a log is opened is reported, and nothing is appended.
func TestOpeningOnABrokenDisk(t *testing.T) {
	t.Parallel()
	whole, _ := fileWith(t, 1)
	torn := append(slices.Clone(whole), "+2"...)
	for ops := range 4 { // open, truncate, sync, sync of the directory
		disk := withFile(slices.Clone(torn))
		disk.ops = ops
		_, err := audit.NewOn(disk, audit.Config{Dir: "log"})
		require.ErrorIs(t, err, errCrash)
	}
	disk := withFile(slices.Clone(torn))
	disk.unread = errCrash
	_, err := audit.NewOn(disk, audit.Config{Dir: "log"})
	require.ErrorIs(t, err, errCrash)
	log, err := audit.NewOn(withFile(torn), audit.Config{Dir: "log"})
	require.NoError(t, err)
	require.EqualValues(t, len("+2"), log.Torn())
	require.NoError(t, log.Close())
}
