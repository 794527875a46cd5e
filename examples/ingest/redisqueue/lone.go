package redisqueue

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport/examples/ingest/store"
)

// apart makes each event of an entry travel alone, from due on.
func (s *shard) apart(ctx context.Context, item store.Item, due time.Time) error {
	payloads, err := store.Split(item)
	if err != nil {
		payloads = [][]byte{item.Payload} // no event of ours; it dies alone
	}
	args := []any{group, s.q.cfg.Name, item.ID, due.UnixMilli(), item.Events}
	for _, payload := range payloads {
		args = append(args, siteOf(payload)+"\n"+string(payload))
	}
	_, err = s.run(ctx, apartScript, []string{s.stream, s.count, s.alone, s.due}, args...)
	s.settled([]store.Item{item}, err)
	return err
}

// siteOf is the site of an event, or "".
func siteOf(payload []byte) string {
	var of struct {
		Site string `json:"site"`
	}
	_ = json.Unmarshal(payload, &of)
	return of.Site
}

// takeLone hands out an event that is due. It is due again when a delivery must have
// ended.
func (s *shard) takeLone(ctx context.Context) (*store.Item, error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	now := time.Now()
	answer, err := s.eval(ctx, takeLoneScript, []string{s.alone, s.due},
		[]any{now.UnixMilli(), now.Add(loneHold).UnixMilli()}).StringSlice()
	if errors.Is(err, redis.Nil) || err == nil && len(answer) != 2 {
		return nil, nil
	}
	if err != nil {
		return nil, s.note(err)
	}
	_, payload, _ := strings.Cut(answer[1], "\n")
	return &store.Item{
		ID: itemID(s.number, answer[0]), Payload: []byte(payload), Events: 1, Lone: true,
	}, nil
}

func (s *shard) postpone(ctx context.Context, item store.Item, due time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	return s.note(s.q.cfg.Client.ZAddXX(ctx, s.due, redis.Z{
		Score: float64(due.UnixMilli()), Member: item.ID,
	}).Err())
}

// bury makes a dead letter of an event.
func (s *shard) bury(ctx context.Context, item store.Item) error {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	return s.note(s.eval(ctx, buryScript, []string{s.alone, s.due, s.dead, s.letters},
		[]any{item.ID, time.Now().UnixMilli()}).Err())
}
