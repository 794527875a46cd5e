package redisqueue

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport/examples/ingest/store"
	"github.com/opsmantik/sallyport/tenancy"
)

// Dead is the number of dead letters of all sites.
func (q *Queue) Dead(ctx context.Context) (n int64, err error) {
	if err := q.enter(); err != nil {
		return 0, err
	}
	defer q.leave()
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	for _, s := range q.shards {
		of, err := q.cfg.Client.ZCard(ctx, s.dead).Result()
		if err != nil {
			return 0, s.note(err)
		}
		n += of
	}
	return n, nil
}

// DeadOf lists a site's dead letters, those of one shard after the other's.
func (q *Queue) DeadOf(
	ctx context.Context, scope tenancy.Scope, limit int,
) ([]store.DeadRow, error) {
	if err := scope.Check(); err != nil {
		return nil, err
	}
	if err := q.enter(); err != nil {
		return nil, err
	}
	defer q.leave()
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	rows := []store.DeadRow{}
	for _, s := range q.shards {
		of, err := s.deadOf(ctx, scope.Site(), limit-len(rows))
		if err != nil {
			return nil, s.note(err)
		}
		rows = append(rows, of...)
	}
	return rows, nil
}

func (s *shard) deadOf(ctx context.Context, site string, limit int) ([]store.DeadRow, error) {
	if limit <= 0 {
		return nil, nil
	}
	members, err := s.q.cfg.Client.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: s.dead, ByLex: true, Start: "[" + site + ":", Stop: "(" + site + ";", Count: int64(limit),
	}).Result()
	if err != nil || len(members) == 0 {
		return nil, err
	}
	letters, err := s.q.cfg.Client.HMGet(ctx, s.letters, members...).Result()
	if err != nil {
		return nil, err
	}
	var rows []store.DeadRow
	for i, letter := range letters {
		text, ok := letter.(string)
		if !ok {
			continue // replayed meanwhile
		}
		parts := strings.SplitN(text, "\n", 3)
		if len(parts) != 3 {
			continue
		}
		at, _ := strconv.ParseInt(parts[0], 10, 64)
		_, id, _ := strings.Cut(members[i], ":")
		row := store.DeadRow{ID: itemID(s.number, id), DeadAt: time.UnixMilli(at).UTC()}
		if event := jsontext.Value(parts[2]); event.IsValid() {
			row.Event = event
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// replayAtOnce bounds a script.
const replayAtOnce = 500

// Replay puts a site's dead letters back among the batches. Redis and the audit log
// share no transaction, so it is on record first: a record of what then failed is
// better than a replay without one.
func (q *Queue) Replay(ctx context.Context, scope tenancy.Scope) (n int64, err error) {
	if err := scope.Check(); err != nil {
		return 0, err
	}
	if err := q.enter(); err != nil {
		return 0, err
	}
	defer q.leave()
	site := scope.Site()
	var found int64
	for _, s := range q.shards {
		of, err := q.cfg.Client.ZLexCount(ctx, s.dead, "["+site+":", "("+site+";").Result()
		if err != nil {
			return 0, s.note(err)
		}
		found += of
	}
	if found == 0 {
		return 0, nil
	}
	if err := q.cfg.Record(ctx, store.ReplayRecord(time.Now(), scope, found)); err != nil {
		return 0, err
	}
	var errs []error
	for _, s := range q.shards {
		moved, err := s.replay(ctx, site)
		n += moved
		errs = append(errs, err)
	}
	return n, errors.Join(errs...)
}

func (s *shard) replay(ctx context.Context, site string) (n int64, err error) {
	for {
		moved, err := s.eval(ctx, replayScript, []string{s.stream, s.dead, s.letters},
			[]any{site, replayAtOnce}).Int64()
		n += moved
		if err != nil || moved < replayAtOnce {
			return n, s.note(err)
		}
	}
}
