package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/opsmantik/sallyport/examples/ingest/postgres"
	"github.com/opsmantik/sallyport/examples/ingest/redisqueue"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/examples/ingest/upstash"
	"github.com/opsmantik/sallyport/ratelimit/redislimit"
)

// embeddedBacklog is how much may wait: what the next start could store in so long.
const embeddedBacklog = 5 * time.Second

// storage is where events are kept, for good and on their way there.
type storage struct {
	store   store.Store
	queue   store.Queue  // nil without one
	intake  store.Intake // nil unless events are delivered from elsewhere
	backlog time.Duration
	closers []func() error // the last first
}

func (k *storage) close() error {
	var errs []error
	for i := len(k.closers) - 1; i >= 0; i-- {
		errs = append(errs, k.closers[i]())
	}
	return errors.Join(errs...)
}

// open opens the store, and what stands before it. self is the instance's address.
func open(
	ctx context.Context, s *settings.Settings, log *slog.Logger, self string,
) (*storage, error) {
	k := &storage{}
	err := k.openStore(ctx, s, log)
	if err == nil {
		err = k.openQueue(ctx, s, log, self)
	}
	if err != nil {
		return nil, errors.Join(err, k.close())
	}
	return k, nil
}

func (k *storage) openStore(ctx context.Context, s *settings.Settings, log *slog.Logger) error {
	if s.Database.URL == "" {
		db, err := sqlite.Open(ctx, s.DataDir, sqlite.Full)
		if err != nil {
			return err
		}
		k.store, k.closers = db, append(k.closers, db.Close)
		if s.Queue.Kind == settings.QueueEmbedded {
			k.queue, k.backlog = db, embeddedBacklog
		}
		return nil
	}
	if s.RedisURL == "" {
		log.WarnContext(ctx, "without REDIS_URL sessions, limits and replays are this instance's alone: "+
			"run one instance")
	}
	db, err := postgres.Open(ctx, postgres.Config{
		URL: s.Database.URL, ServiceURL: s.Database.ServiceURL, MigrateURL: s.Database.MigrateURL,
		KeepMonths: s.Database.KeepMonths, Log: log,
	})
	if err != nil {
		return err
	}
	k.store, k.closers = db, append(k.closers, db.Close)
	return nil
}

func (k *storage) openQueue(
	ctx context.Context, s *settings.Settings, log *slog.Logger, self string,
) error {
	switch s.Queue.Kind {
	case settings.QueueQStash:
		producer, err := upstash.New(upstash.Config{
			URL: s.Queue.QStashURL, Token: s.Queue.QStashToken, WorkerURL: s.WorkerURL,
		})
		if err != nil {
			return err
		}
		k.intake = producer
	case settings.QueueRedis:
		client, err := redislimit.NewClient(s.RedisURL)
		if err != nil {
			return err
		}
		k.closers = append(k.closers, client.Close)
		host, err := os.Hostname()
		if err != nil {
			return err
		}
		queue, err := redisqueue.Open(ctx, redisqueue.Config{
			Client: client, Name: host + " " + self, Replicas: s.Queue.Replicas,
			DangerouslyLossy: s.Queue.Lossy, Record: k.store.Record, Log: log,
		})
		if err != nil {
			return err
		}
		k.queue, k.closers = queue, append(k.closers, queue.Close)
	}
	return nil
}

// openStores opens what the operator's commands ask for. Closing the queue closes its
// connection, too.
func openStores(
	ctx context.Context, s *settings.Settings, log *slog.Logger,
) (store.Store, store.Queue, error) {
	looking := *s
	looking.Database.MigrateURL = "" // a command that looks does not migrate
	k, err := open(ctx, &looking, log, "operator")
	if err != nil {
		return nil, nil, err
	}
	if len(k.closers) == 1 { // the embedded queue is the store's, or there is none
		return k.store, k.queue, nil
	}
	return k.store, apart{k.queue, &storage{closers: k.closers[1:]}}, nil
}

// apart is a queue that is closed apart from the store.
type apart struct {
	store.Queue
	kept *storage
}

func (q apart) Close() error { return q.kept.close() }
