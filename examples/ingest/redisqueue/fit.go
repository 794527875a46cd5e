package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// wanted is how a Redis has to be set up, and what it loses otherwise.
var wanted = []struct{ name, value, otherwise string }{
	{"appendonly", "yes", "a restart of Redis loses every event that waits"},
	{"appendfsync", "always", "a power cut loses a second of acknowledged events"},
	{"maxmemory-policy", "noeviction", "a full Redis may drop the queue"},
}

// Unfit is a Redis that loses acknowledged events.
type Unfit struct{ Setting, Want, Got, Otherwise string }

func (u *Unfit) Error() string {
	return fmt.Sprintf("redisqueue: %s is %q: set it to %s, or %s",
		u.Setting, u.Got, u.Want, u.Otherwise)
}

// fit asks every master how it is set up.
func (q *Queue) fit(ctx context.Context) error {
	if q.cfg.DangerouslyLossy {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	if cluster, ok := q.cfg.Client.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, check)
	}
	return check(ctx, q.cfg.Client)
}

// configured is what can be asked for its settings.
type configured interface {
	ConfigGet(ctx context.Context, parameter string) *redis.MapStringStringCmd
}

// check finds every setting that is wrong. A server that does not tell is not
// believed.
func check[C configured](ctx context.Context, client C) error {
	var errs []error
	for _, setting := range wanted {
		got, err := client.ConfigGet(ctx, setting.name).Result()
		if err != nil {
			return fmt.Errorf("redisqueue: the settings of Redis cannot be read; allow CONFIG GET: %w", err)
		}
		if got[setting.name] != setting.value {
			errs = append(errs, &Unfit{setting.name, setting.value, got[setting.name], setting.otherwise})
		}
	}
	return errors.Join(errs...)
}

// recheck is how often the settings are looked at: after a failover, another server
// has the queue.
const recheck = 30 * time.Second

// watch reads what other instances change, and looks whether the server is still fit.
func (q *Queue) watch(ctx context.Context) {
	defer close(q.done)
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	checked := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var all sync.WaitGroup
		for _, s := range q.shards {
			all.Go(func() {
				// What fails is told to who asks.
				if s.silent(q.cfg.Hold / 5) {
					_ = s.alive(ctx)
				}
				_ = s.refresh(ctx)
			})
		}
		all.Wait()
		if time.Since(checked) > recheck {
			checked = time.Now()
			q.judge(ctx)
		}
	}
}

// judge stops what would lose events. A server that does not answer says nothing.
func (q *Queue) judge(ctx context.Context) {
	err := q.fit(ctx)
	if err == nil {
		q.unfit.Store(nil)
		return
	}
	if _, ok := errors.AsType[*Unfit](err); ok {
		q.cfg.Log.ErrorContext(ctx, "Redis would lose events; none are taken", "error", err)
		q.unfit.Store(&err)
	}
}

// Ready keeps something in every shard. One that answers is enough: events go there.
func (q *Queue) Ready(ctx context.Context) error {
	if err := q.enter(); err != nil {
		return err
	}
	defer q.leave()
	if fault := q.unfit.Load(); fault != nil {
		return *fault
	}
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	var errs []error
	for _, s := range q.shards {
		err := s.note(q.cfg.Client.Set(ctx, s.probe, time.Now().UnixMilli(), 0).Err())
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// errReplicas means that too few replicas have an event.
var errReplicas = errors.New("redisqueue: too few replicas have the event")

// wait waits for the replicas of the shard's master. WAIT speaks of what its own
// connection wrote: a write on that connection comes first, after all others.
func (s *shard) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	master := s.q.cfg.Client
	if cluster, ok := master.(*redis.ClusterClient); ok {
		node, err := cluster.MasterForKey(ctx, s.stream)
		if err != nil {
			return s.note(err)
		}
		master = node
	}
	var have *redis.Cmd
	_, err := master.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, s.probe, "w", 0)
		have = p.Do(ctx, "WAIT", s.q.cfg.Replicas, (answerLimit / 2).Milliseconds())
		return nil
	})
	if err != nil {
		return s.note(err)
	}
	if n, err := have.Int(); err != nil || n < s.q.cfg.Replicas {
		return s.note(errReplicas)
	}
	return nil
}
