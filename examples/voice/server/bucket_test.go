package server_test

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/opsmantik/sallyport/examples/voice/recording"
)

// bucket is a recording.Store in memory, with no more than S3 can do.
type bucket struct {
	mu      sync.Mutex
	objects map[string][]byte
}

func (b *bucket) Put(_ context.Context, name string, data []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects[name] = bytes.Clone(data)
	return nil
}

func (b *bucket) ReadAt(_ context.Context, name string, p []byte, off int64) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.objects[name]
	switch {
	case !ok:
		return 0, fs.ErrNotExist
	case off >= int64(len(data)):
		return 0, io.EOF
	}
	n := copy(p, data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (b *bucket) List(_ context.Context, folder string) ([]recording.Object, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []recording.Object
	for _, name := range slices.Sorted(maps.Keys(b.objects)) {
		if strings.HasPrefix(name, folder+"/") {
			found = append(found, recording.Object{Name: name, Size: int64(len(b.objects[name]))})
		}
	}
	return found, nil
}

func (b *bucket) Delete(_ context.Context, name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.objects, name)
	return nil
}
