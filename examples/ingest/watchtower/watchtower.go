// Package watchtower watches the server's own gates and pipeline: what package watch
// finds unusual goes to the log, to the metrics and to whoever asks the API.
package watchtower

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/audit/watch"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

const (
	stateFile = "watch.json"
	// saveEvery is how much is learned again after a crash, at most.
	saveEvery = 5 * time.Minute
	// askEvery is how often the queue is asked.
	askEvery = 15 * time.Second
)

// Config is what a tower is made from.
type Config struct {
	Sites  []string // that are watched one by one
	Dir    string   // where it keeps what it has learned
	Queue  store.Queue
	Merger watch.Merger // nil: this instance watches alone
	Record func(context.Context, audit.Record) error
	// OnEvent receives one event per alert that opens.
	OnEvent func(context.Context, sallyport.Event)
	Log     *slog.Logger
}

// Tower is the engine with what it needs here.
type Tower struct {
	*watch.Engine
	cfg Config
}

// New makes a tower. State that cannot be read is left behind: the server serves, and
// learns anew.
func New(cfg Config) (*Tower, error) {
	rules := Rules(cfg.Sites)
	if cfg.Queue == nil {
		rules.Gauges = nil
	}
	rules.OnAlert, rules.OnEvent = watch.Log(cfg.Log), cfg.OnEvent
	rules.Merger = cfg.Merger
	rules.Record = func(ctx context.Context, d watch.Decision) error {
		return cfg.Record(ctx, record(d))
	}
	var err error
	rules.State, err = os.ReadFile(filepath.Join(cfg.Dir, stateFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		cfg.Log.Warn("what the watchtower learned cannot be read", "error", err)
	}
	engine, err := watch.New(rules)
	if err != nil && rules.State != nil {
		cfg.Log.Warn("the watchtower starts anew", "error", err)
		rules.State = nil
		engine, err = watch.New(rules)
	}
	return &Tower{engine, cfg}, err
}

// record is a decision as the audit log has it.
func record(d watch.Decision) audit.Record {
	return audit.Record{
		Time:    d.Time,
		Actor:   audit.Ref{Kind: sallyport.KindUser, ID: d.Actor},
		Action:  "watch." + string(d.Action),
		Target:  audit.Ref{Kind: "alert", ID: d.Alert},
		Outcome: audit.OutcomeSuccess,
		Reason:  d.Reason,
	}
}

// Run watches until ctx ends, and keeps what it has learned.
func (t *Tower) Run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { t.Engine.Run(ctx) })
	if t.cfg.Queue != nil {
		all.Go(func() { every(ctx, askEvery, func() { t.ask(ctx) }) })
	}
	every(ctx, saveEvery, t.save)
	all.Wait()
	t.save()
}

func every(ctx context.Context, d time.Duration, do func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do()
		}
	}
}

// ask sets the gauges. What cannot be read becomes an alert by not being set.
func (t *Tower) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askEvery)
	defer cancel()
	if lag, err := t.cfg.Queue.Oldest(ctx); err == nil {
		t.Set(gaugeLag, lag.Seconds())
	}
	if dead, err := t.cfg.Queue.Dead(ctx); err == nil {
		t.Set(gaugeDead, float64(dead))
	}
}

// save keeps the state in one step: a crash leaves the old one or the new one.
func (t *Tower) save() {
	state, err := t.Snapshot()
	if err == nil {
		err = replace(filepath.Join(t.cfg.Dir, stateFile), state)
	}
	if err != nil {
		t.cfg.Log.Warn("what the watchtower learned is not kept", "error", err)
	}
}

func replace(path string, text []byte) error {
	next := path + ".next"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return fmt.Errorf("watchtower: %w", err)
	}
	return os.Rename(next, path)
}
