package audit

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
)

// maxBatch bounds one write, in bytes of entries.
const maxBatch = 1 << 20

// Receipt says where a record is: entry Index of every tree from Tree on. Whoever
// keeps it can hold the log to it.
type Receipt struct {
	Index int64
	Tree  tlog.Tree
}

// Log appends records to a file. It is safe for concurrent use; the zero value
// refuses everything.
type Log struct {
	file     file
	torn     int64
	onCommit func(int, error)
	done     chan struct{} // closed when the writer has ended and closed the file
	closing  error         // of the file; read after done

	gate   sync.RWMutex // read-held while queueing, so that Close can close queue
	closed bool
	queue  chan pending

	mu   sync.Mutex // never held across I/O: health checks must not hang with a disk
	head Head       // durable
	err  error      // why the log is broken; set once
}

// pending is an entry that waits for the writer, and where its caller waits.
type pending struct {
	entry  []byte
	result chan<- result
}

type result struct {
	receipt Receipt
	err     error
}

// New opens or creates the log file, checks every line of it, and starts the one
// goroutine that writes. Checking reads the whole file, over a hundred thousand
// lines a second. A *[CorruptError] means damage that a crash cannot
// explain; the file is left as it is. [ErrLocked] means that it is open already.
func New(cfg Config) (*Log, error) { return open(disk{}, cfg) }

// open is New on any file system.
func open(fs filesystem, cfg Config) (*Log, error) {
	if cfg.Queue == 0 {
		cfg.Queue = DefaultQueue
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	f, err := fs.Open(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	got, err := prepare(fs, f, cfg.Path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("audit: %s: %w", cfg.Path, err), f.Close())
	}
	l := &Log{
		file: f, head: got.head, torn: got.torn, onCommit: cfg.OnCommit,
		queue: make(chan pending, cfg.Queue), done: make(chan struct{}),
	}
	go l.write()
	return l, nil
}

// prepare leaves a file whose every byte is good and durable. What it read may be
// in the page cache only: the process before may have died between its write and
// its fsync.
func prepare(fs filesystem, f file, path string) (recovery, error) {
	got, err := recoverFile(f)
	if err != nil {
		return recovery{}, err
	}
	if got.torn > 0 {
		if err := f.Truncate(got.size); err != nil {
			return recovery{}, err
		}
	}
	return got, errors.Join(f.Sync(), fs.SyncDir(path))
}

// Append records r and returns once it is on disk. It waits while the queue is
// full. If ctx ends before the record is queued, nothing was recorded; after that
// the error matches [ErrUnknown]. A log that broke answers [ErrBroken] for good.
func (l *Log) Append(ctx context.Context, r Record) (Receipt, error) {
	entry, err := r.Encode()
	if err != nil {
		return Receipt{}, err
	}
	answer := make(chan result, 1) // the writer never waits for a caller that left
	if err := l.enqueue(ctx, pending{entry: entry, result: answer}); err != nil {
		return Receipt{}, err
	}
	select {
	case res := <-answer:
		return res.receipt, res.err
	case <-ctx.Done():
		return Receipt{}, fmt.Errorf("%w: %w", ErrUnknown, ctx.Err())
	}
}

// enqueue hands a record to the writer. The read lock is held while it waits for
// room; the writer makes room until Close, which takes the write lock, has all of
// them out of here, so nobody sends on a closed channel.
func (l *Log) enqueue(ctx context.Context, p pending) error {
	l.gate.RLock()
	defer l.gate.RUnlock()
	if l.closed || l.queue == nil {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case l.queue <- p:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Head returns the durable end of the log.
func (l *Log) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// Err returns why the log broke, or nil: for health checks.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Torn returns how many bytes of an unacknowledged last line New removed.
func (l *Log) Torn() int64 { return l.torn }

// Close writes what is queued, waits for it, and closes the file. Every call waits
// and returns the same, so OnCommit must not make one. Later calls of Append return
// [ErrClosed].
func (l *Log) Close() error {
	if l.queue == nil {
		return nil
	}
	l.gate.Lock()
	if !l.closed {
		l.closed = true
		close(l.queue)
	}
	l.gate.Unlock()
	<-l.done
	return errors.Join(l.Err(), l.closing)
}

// write is the one writer: it takes all that waits, writes it at once, syncs once.
func (l *Log) write() {
	defer close(l.done)
	var batch []pending
	for first := range l.queue {
		batch = l.collect(append(batch[:0], first))
		l.commit(batch)
		clear(batch) // release the entries
	}
	l.closing = l.file.Close()
}

// collect adds what is waiting. The appenders of the last batch are being woken
// just now; letting them run until nobody new arrives makes batches about as
// large as there are appenders, instead of half of that.
func (l *Log) collect(batch []pending) []pending {
	size := len(batch[0].entry)
	for grown := true; grown; {
		grown = false
		runtime.Gosched()
		for size < maxBatch && len(l.queue) > 0 { // nobody else receives
			p := <-l.queue
			batch, size, grown = append(batch, p), size+len(p.entry), true
		}
	}
	return batch
}

// commit makes a batch durable and answers it. After a failed write the file may
// end in half a line; after a failed fsync the kernel may have dropped pages and
// report success the next time. Neither is ever tried again.
func (l *Log) commit(batch []pending) {
	head, err := l.Head(), l.Err()
	receipts := make([]Receipt, len(batch))
	var lines []byte
	if err == nil {
		for i, p := range batch {
			head = head.Append(p.entry)
			tree := head.Tree()
			lines = appendLine(lines, tree, p.entry)
			receipts[i] = Receipt{Index: tree.N - 1, Tree: tree}
		}
		err = l.store(lines, head)
	}
	for i, p := range batch {
		if err != nil {
			p.result <- result{err: err}
			continue
		}
		p.result <- result{receipt: receipts[i]}
	}
	if l.onCommit != nil {
		l.onCommit(len(batch), err)
	}
}

// store writes and syncs once; the head moves only after both.
func (l *Log) store(lines []byte, head Head) error {
	_, err := l.file.Write(lines)
	if err == nil {
		err = l.file.Sync()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.err = fmt.Errorf("%w: %w", ErrBroken, err)
		return l.err
	}
	l.head = head
	return nil
}
