package audit_test

import (
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"

	"github.com/opsmantik/sallyport/audit"
)

var (
	errCrash = errors.New("crashed")
	errFull  = errors.New("no space left on device")
)

// page is what the simulated kernel writes back at once.
const page = 4096

// sim is a disk with a write-back cache.
type sim struct {
	mu      sync.Mutex
	files   map[string]*simData
	ops     int   // operations until the crash; negative: never
	fault   int   // operations until one fails; negative: never
	faulty  error // how that one fails
	unread  error // of every Read
	syncs   int
	lying   bool // Sync does nothing: a build without fsync
	onClose func() error
}

type simData struct {
	cache   []byte // what a reader sees
	durable []byte // what survives
	named   bool   // the directory entry survives
}

func newSim() *sim { return &sim{files: map[string]*simData{}, ops: -1, fault: -1} }

// withFile is a disk with one durable segment.
func withFile(data []byte) *sim {
	s := newSim()
	s.files[firstFile] = &simData{cache: data, durable: slices.Clone(data), named: true}
	return s
}

const firstFile = "00000000000000000000.log"

type nothing struct{}

func (nothing) Close() error { return nil }

func (s *sim) Lock(string) (io.Closer, error) { return nothing{}, nil }

func (s *sim) List(string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.files)), nil
}

func (s *sim) Open(path string) (audit.File, error) {
	name := filepath.Base(path)
	err := s.op(func() error {
		if s.files[name] == nil {
			s.files[name] = &simData{}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &simFile{s: s, name: name}, nil
}

func (s *sim) SyncDir(string) error {
	return s.op(func() error {
		for _, f := range s.files {
			f.named = f.named || !s.lying
		}
		return nil
	})
}

// op runs one disk operation unless the machine is down.
func (s *sim) op(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ops == 0 {
		return errCrash
	}
	s.ops--
	if s.fault == 0 {
		s.fault = -1
		return s.faulty
	}
	s.fault--
	return f()
}

// reboot returns the disk after a crash: what was synced, and of the rest whatever
// pages the kernel happened to have written, in any order. The others are holes.
func (s *sim) reboot(rng *rand.Rand) *sim {
	s.mu.Lock()
	defer s.mu.Unlock()
	after := newSim()
	after.lying = s.lying
	for name, f := range s.files {
		if !f.named && rng.IntN(2) == 0 {
			continue
		}
		left := f.reboot(rng)
		after.files[name] = &simData{cache: left, durable: slices.Clone(left), named: true}
	}
	return after
}

func (f *simData) reboot(rng *rand.Rand) []byte {
	left := slices.Clone(f.durable)
	if len(f.cache) <= len(left) { // truncated, or not yet
		return left[:len(f.cache)+rng.IntN(len(left)-len(f.cache)+1)]
	}
	from, size := len(left), len(left)+rng.IntN(len(f.cache)-len(left)+1)
	if rng.IntN(2) == 0 {
		size = len(f.cache)
	}
	left = append(left, make([]byte, size-from)...)
	for at := from; at < size; {
		end := min((at/page+1)*page, size)
		if rng.IntN(3) > 0 {
			copy(left[at:end], f.cache[at:end])
		}
		at = end
	}
	return left
}

type simFile struct {
	s    *sim
	name string
	pos  int
}

func (f *simFile) Read(p []byte) (int, error) {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if f.s.unread != nil {
		return 0, f.s.unread
	}
	data := f.s.files[f.name].cache
	if f.pos >= len(data) {
		return 0, io.EOF
	}
	n := copy(p, data[f.pos:])
	f.pos += n
	return n, nil
}

// Write appends. A disk that is full takes the half of it.
func (f *simFile) Write(p []byte) (n int, err error) {
	data := f.s.files[f.name]
	err = f.s.op(func() error { data.cache = append(data.cache, p...); n = len(p); return nil })
	if errors.Is(err, errFull) {
		n = len(p) / 2
		data.cache = append(data.cache, p[:n]...)
	}
	return n, err
}

func (f *simFile) Truncate(size int64) error {
	data := f.s.files[f.name]
	return f.s.op(func() error { data.cache = data.cache[:size]; return nil })
}

func (f *simFile) Sync() error {
	data := f.s.files[f.name]
	return f.s.op(func() error {
		f.s.syncs++
		if !f.s.lying {
			data.durable = slices.Clone(data.cache)
		}
		return nil
	})
}

func (f *simFile) Check(size int64) error {
	if len(f.s.files[f.name].cache) != int(size) {
		return errors.New("another size")
	}
	return nil
}

func (f *simFile) Close() error {
	if f.s.onClose != nil {
		return f.s.onClose()
	}
	return nil
}
