package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/opsmantik/sallyport/audit"
)

var errCrash = errors.New("crashed")

// sim is one file on a disk with a write-back cache.
type sim struct {
	mu      sync.Mutex
	cache   []byte // what a reader sees
	durable []byte // what survives
	named   bool   // the directory entry survives
	ops     int    // operations until the crash; negative: never
	failing error  // of the next Sync
	unread  error  // of every Read
	syncs   int
	onClose func() error
}

func (s *sim) Open(string) (audit.File, error) { return &simFile{s: s}, nil }

func (s *sim) SyncDir(string) error {
	return s.op(func() error { s.named = true; return nil })
}

// op runs one disk operation unless the machine is down.
func (s *sim) op(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ops == 0 {
		return errCrash
	}
	s.ops--
	return f()
}

// reboot returns the disk after a crash: what was synced, and of the rest as much
// as the kernel happened to have written.
func (s *sim) reboot(rng *rand.Rand) *sim {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := []byte{}
	if s.named {
		left = append(left, s.durable...)
		if extra := len(s.cache) - len(left); extra > 0 {
			left = append(left, s.cache[len(left):len(left)+rng.IntN(extra+1)]...)
		}
	}
	return &sim{cache: left, durable: append([]byte(nil), left...), named: s.named, ops: -1}
}

type simFile struct {
	s   *sim
	pos int
}

func (f *simFile) Read(p []byte) (int, error) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if f.s.unread != nil {
		return 0, f.s.unread
	}
	if f.pos >= len(f.s.cache) {
		return 0, io.EOF
	}
	n := copy(p, f.s.cache[f.pos:])
	f.pos += n
	return n, nil
}

func (f *simFile) Write(p []byte) (n int, err error) {
	err = f.s.op(func() error { f.s.cache = append(f.s.cache, p...); n = len(p); return nil })
	return n, err
}

func (f *simFile) Truncate(size int64) error {
	return f.s.op(func() error { f.s.cache = f.s.cache[:size]; return nil })
}

func (f *simFile) Sync() error {
	return f.s.op(func() error {
		f.s.syncs++
		if err := f.s.failing; err != nil {
			f.s.failing = nil // as Linux: the error is reported once
			return err
		}
		f.s.durable = append([]byte(nil), f.s.cache...)
		return nil
	})
}

func (f *simFile) Close() error {
	if f.s.onClose != nil {
		return f.s.onClose()
	}
	return nil
}

// hammer appends from several goroutines until something fails, and returns what
// was acknowledged.
func hammer(ctx context.Context, log *audit.Log, life, each int) map[int64]ack {
	var mu sync.Mutex
	acks := map[int64]ack{}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range each {
				rec := record(fmt.Sprintf("%d-%d-%d", life, worker, i))
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

// Power fails at a random moment, over and over, during recovery too. Whatever was
// acknowledged is there afterwards, at its index, under its root.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	t.Parallel()
	const disks, lives = 40, 12
	rng := rand.New(rand.NewPCG(1, 2))
	total, torn := 0, 0
	for range disks {
		disk, kept := &sim{ops: -1}, map[int64]ack{}
		for life := range lives {
			disk.ops = rng.IntN(12)
			log, err := audit.NewOn(disk, audit.Config{Path: "log"})
			if err == nil {
				for index, a := range hammer(t.Context(), log, life, 4) {
					require.NotContains(t, kept, index, "an index was given twice")
					kept[index] = a
				}
				_ = log.Close()
			} else {
				require.ErrorIs(t, err, errCrash, "a crash must never look like tampering")
			}
			disk = disk.reboot(rng)
			if checkKept(t, disk, kept) {
				torn++
			}
		}
		total += len(kept)
	}
	t.Logf("%d acknowledged, %d torn lines", total, torn)
	require.Greater(t, total, disks*lives)
	require.Greater(t, torn, disks, "the test must produce torn lines")
}

// checkKept reports whether the last line is torn.
func checkKept(t *testing.T, disk *sim, kept map[int64]ack) (torn bool) {
	t.Helper()
	var head audit.Head
	found := 0
	for entry, err := range audit.Entries(&simFile{s: disk}) {
		if corrupt, ok := errors.AsType[*audit.CorruptError](err); ok {
			require.True(t, corrupt.Torn, corrupt.Error())
			torn = true
			break
		}
		require.NoError(t, err)
		a, acknowledged := kept[head.Size()]
		head = head.Append(entry)
		if acknowledged {
			found++
			require.Equal(t, a.entry, string(entry))
			require.Equal(t, a.tree, head.Tree())
		}
	}
	require.Equal(t, len(kept), found, "acknowledged records that are there")
	return torn
}

// Linux reports a failed writeback once and then forgets it: a second fsync would
// say that all is well.
func TestAFailedSyncIsFatal(t *testing.T) {
	t.Parallel()
	disk := &sim{ops: -1}
	var commits []error
	log, err := audit.NewOn(disk, audit.Config{Path: "log", OnCommit: func(n int, err error) {
		require.Equal(t, 1, n)
		commits = append(commits, err)
	}})
	require.NoError(t, err)
	first, err := log.Append(t.Context(), record("1"))
	require.NoError(t, err)
	disk.mu.Lock()
	disk.failing = errors.New("EIO")
	before := disk.syncs
	disk.mu.Unlock()
	for range 3 {
		_, err = log.Append(t.Context(), record("2"))
		require.ErrorIs(t, err, audit.ErrBroken)
	}
	require.Equal(t, before+1, disk.syncs, "never retried")
	require.ErrorContains(t, log.Err(), "EIO")
	require.Equal(t, first.Tree, log.Head().Tree(), "the head is what is durable")
	require.ErrorIs(t, log.Close(), audit.ErrBroken)
	require.Len(t, commits, 4)
	require.NoError(t, commits[0])

	log, err = audit.NewOn(disk, audit.Config{Path: "log"})
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

func (b *blocked) Open(string) (audit.File, error) {
	return &blockedFile{&simFile{s: b.sim}, b.release}, nil
}

type blockedFile struct {
	*simFile
	release chan struct{}
}

func (f *blockedFile) Sync() error {
	<-f.release
	return f.simFile.Sync()
}

// All who wait during one fsync share the next one, and while the disk hangs a
// caller that gives up neither hangs with it nor is told a lie.
func TestGroupCommitAndAHungDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const waiters = 63
		fs := &blocked{&sim{ops: -1}, make(chan struct{}, 1)}
		fs.release <- struct{}{} // New syncs once
		var batches []int
		log, err := audit.NewOn(fs, audit.Config{Path: "log", Queue: waiters + 1, OnCommit: func(
			n int, err error,
		) {
			must(t, err)
			batches = append(batches, n)
		}})
		require.NoError(t, err)
		appending := func(ctx context.Context, id string) chan error {
			answer := make(chan error, 1)
			go func() { _, err := log.Append(ctx, record(id)); answer <- err }()
			synctest.Wait() // until it waits for the disk, or for room
			return answer
		}
		answers := []chan error{appending(t.Context(), "first")} // the disk hangs with it
		for i := range waiters {
			answers = append(answers, appending(t.Context(), fmt.Sprint(i)))
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		queued, full := appending(short, "queued"), appending(short, "too many")
		time.Sleep(time.Second)
		require.ErrorIs(t, <-queued, audit.ErrUnknown, "it is in the queue")
		err = <-full
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, audit.ErrUnknown, "it never was")
		require.Zero(t, log.Head().Size(), "health checks do not hang with the disk")

		fs.release <- struct{}{}
		fs.release <- struct{}{}
		for _, answer := range answers {
			require.NoError(t, <-answer)
		}
		synctest.Wait()
		require.Equal(t, []int{1, waiters + 1}, batches)
		require.NoError(t, log.Close())
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// Whatever goes wrong while a log is opened is reported, and nothing is appended.
func TestOpeningOnABrokenDisk(t *testing.T) {
	t.Parallel()
	whole := &sim{ops: -1}
	log, err := audit.NewOn(whole, audit.Config{Path: "log"})
	require.NoError(t, err)
	_, err = log.Append(t.Context(), record("1"))
	require.NoError(t, err)
	require.NoError(t, log.Close())
	torn := append(bytes.Clone(whole.cache), "1 torn"...)
	for ops := range 3 { // truncate, sync, sync of the directory
		_, err := audit.NewOn(&sim{cache: torn, ops: ops}, audit.Config{Path: "log"})
		require.ErrorIs(t, err, errCrash)
	}
	_, err = audit.NewOn(&sim{cache: torn, ops: -1, unread: errCrash}, audit.Config{Path: "log"})
	require.ErrorIs(t, err, errCrash)
	log, err = audit.NewOn(&sim{cache: torn, ops: -1}, audit.Config{Path: "log"})
	require.NoError(t, err)
	require.EqualValues(t, len("1 torn"), log.Torn())
	require.NoError(t, log.Close())
}
