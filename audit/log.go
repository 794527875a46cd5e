package audit

import (
	"context"
	"errors"
	"iter"
	"os"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
	"github.com/opsmantik/sallyport/internal/refusal"
)

// Receipt says where a record is: entry Index of every tree from Tree on. Whoever
// keeps it can hold the log to it. A store that orders its records later answers
// with the Index -1.
type Receipt struct {
	Index int64
	Tree  tlog.Tree
}

// Log appends records to files. It is safe for concurrent use. The zero value and
// nil refuse every record with [CodeNotConfigured].
type Log struct {
	dir     string
	kinds   *refusal.Table
	onEvent func(context.Context, sallyport.Event)
	writer  *writer
	torn    int64
	done    chan struct{} // closed when the writer has ended and closed the file
	closing error         // of the file; read after done

	gate   sync.RWMutex // read-held while queueing, so that Close can close queue
	closed bool
	queue  chan pending

	// answers are channels for one result each. One whose caller left is not reused.
	answers sync.Pool

	mu   sync.Mutex // never held across I/O: health checks must not hang with a disk
	head Head       // durable
	err  error      // why the log is broken; set once
}

// pending is an entry that waits for the writer, and where its caller waits.
type pending struct {
	entry  []byte
	leaf   tlog.Hash
	result chan<- result
}

type result struct {
	receipt Receipt
	err     error // the cause of CodeLogBroken
}

// New opens or creates the log, checks every batch of it, and starts the one
// goroutine that writes. Checking reads all files of the directory.
//
// Problems of the Config are [*sallyport.ConfigError]; a directory that another log
// has open, here or in another process, is one too, with the code
// [sallyport.ConfigConflict]. A [*CorruptError] means damage that a crash cannot
// explain; the files are left as they are.
func New(cfg Config) (*Log, error) { return open(disk{}, cfg) }

// open is New on any file system.
func open(fs filesystem, cfg Config) (*Log, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	w, head, err := recoverLog(fs, cfg.Dir, cfg.SegmentBytes)
	if err != nil {
		return nil, openError(cfg.Dir, err)
	}
	l := &Log{
		dir: cfg.Dir, kinds: refusal.NewTable(gate, cfg.ProblemBase, kinds...),
		onEvent: cfg.OnEvent, writer: w, torn: w.torn, head: head,
		queue: make(chan pending, cfg.Queue), done: make(chan struct{}),
	}
	l.answers.New = func() any { return make(chan result, 1) }
	go l.write()
	return l, nil
}

func openError(dir string, err error) error {
	if !errors.Is(err, errLocked) {
		return errors.Join(errors.New("audit: open "+dir), err)
	}
	problems := configerr.For(gate)
	problems.Add("Dir", dir, sallyport.ConfigConflict,
		"another log has it open; close that one, or give each its own directory")
	return problems.Err()
}

// Append records r and returns once it is on disk. It waits while the queue is
// full. The error is a [*sallyport.Refusal] with one of the codes of this package:
// what cannot be recorded must not happen. If ctx ends before the record is queued,
// nothing was recorded; after that the outcome is unknown.
func (l *Log) Append(ctx context.Context, r Record) (Receipt, error) {
	if l == nil || l.queue == nil {
		return Receipt{}, errNotConfigured()
	}
	if l.onEvent != nil && insideHook() {
		return Receipt{}, l.kinds.New(CodeInsideHook, nil)
	}
	receipt, code, cause := l.append(ctx, r)
	if code == CodeRecorded {
		if l.onEvent != nil {
			l.notify(ctx, sallyport.Event{
				Gate: gate, Code: code, Allowed: true, Tenant: r.Tenant, Actor: r.Actor.ID,
				Detail: receipt,
			})
		}
		return receipt, nil
	}
	refused := l.kinds.New(code, cause)
	if l.onEvent != nil {
		l.notify(ctx, sallyport.Event{
			Gate: gate, Code: code, Tenant: r.Tenant, Actor: r.Actor.ID, Err: cause,
		})
	}
	return Receipt{}, refused
}

func errNotConfigured() error { return kinds[0].Refusal(gate, nil) }

// notify calls the hook. Its frame on the stack is what insideHook looks for.
//
//go:noinline
func (l *Log) notify(ctx context.Context, e sallyport.Event) { l.onEvent(ctx, e) }

// insideHook reports whether a hook of a log is among the callers. A context cannot
// tell: a hook may pass another one, and would then recurse until the stack is full.
func insideHook() bool {
	var callers [64]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers[:])])
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, "audit.(*Log).notify") {
			return true
		}
		if !more {
			return false
		}
	}
}

// append returns CodeRecorded, or another code and its cause.
func (l *Log) append(ctx context.Context, r Record) (Receipt, string, error) {
	entry, err := r.Encode()
	if err != nil {
		return Receipt{}, CodeRecordInvalid, err
	}
	answer := l.answers.Get().(chan result) // the writer never waits for a caller that left
	code, err := l.enqueue(ctx, pending{entry, tlog.RecordHash(entry), answer})
	if code != "" {
		return Receipt{}, code, err
	}
	select {
	case res := <-answer:
		l.answers.Put(answer)
		if res.err != nil {
			return Receipt{}, CodeLogBroken, res.err
		}
		return res.receipt, CodeRecorded, nil
	case <-ctx.Done():
		return Receipt{}, CodeOutcomeUnknown, ctx.Err()
	}
}

// enqueue hands a record to the writer. The read lock is held while it waits for
// room; the writer makes room until Close, which takes the write lock, has all of
// them out of here, so nobody sends on a closed channel.
func (l *Log) enqueue(ctx context.Context, p pending) (code string, cause error) {
	l.gate.RLock()
	defer l.gate.RUnlock()
	if l.closed {
		return CodeLogClosed, nil
	}
	if err := ctx.Err(); err != nil {
		return CodeNotQueued, err
	}
	select {
	case l.queue <- p:
		return "", nil
	case <-ctx.Done():
		return CodeNotQueued, ctx.Err()
	}
}

// Head returns the durable end of the log. The error is for [Store]; only a log that
// New did not make has one.
func (l *Log) Head(context.Context) (Head, error) {
	if l == nil || l.queue == nil {
		return Head{}, errNotConfigured()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head, nil
}

// Entries yields the durable entries from the index from on, checked as the
// function [Entries] does.
func (l *Log) Entries(ctx context.Context, from int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		head, err := l.Head(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		if from == head.size {
			return
		}
		for entry, err := range Entries(os.DirFS(l.dir), from) {
			err = errors.Join(err, ctx.Err())
			if from++; !yield(entry, err) || err != nil || from == head.size {
				return
			}
		}
	}
}

// Err returns why the log broke, or nil: for health checks.
func (l *Log) Err() error {
	if l == nil || l.queue == nil {
		return errNotConfigured()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Torn returns how many bytes of an unacknowledged batch New removed.
func (l *Log) Torn() int64 {
	if l == nil {
		return 0
	}
	return l.torn
}

// Close writes what is queued, waits for it, and closes the file. Every call waits
// and returns the same.
func (l *Log) Close() error {
	if l == nil || l.queue == nil {
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
	l.closing = l.writer.close()
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

// commit makes a batch durable and answers it. The head moves only after that.
func (l *Log) commit(batch []pending) {
	err := l.Err()
	first := l.head.size // only this goroutine changes it
	var tree tlog.Tree
	if err == nil {
		var head Head
		head, err = l.writer.append(batch, l.head)
		tree = head.Tree()
		l.mu.Lock()
		if err == nil {
			l.head = head
		}
		l.err = err
		l.mu.Unlock()
	}
	for i, p := range batch {
		p.result <- result{Receipt{Index: first + int64(i), Tree: tree}, err}
	}
}
