package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

// shard is one stream and what belongs to it, in one slot.
type shard struct {
	q      *Queue
	number int

	stream, count, alone, due, dead, letters, calls, probe string

	failed atomic.Int64 // when, in Unix milliseconds

	mu      sync.Mutex
	numbers numbers
	ready   []entry   // read from the stream and not handed out
	claimed time.Time // when entries of others were last looked for
}

// entry is an item that this instance holds, and since when.
type entry struct {
	store.Item
	since time.Time
}

func newShard(q *Queue, n int) *shard {
	base := q.cfg.Prefix + "{q" + strconv.Itoa(n) + "}:"
	return &shard{
		q: q, number: n, stream: base + "stream", count: base + "count", alone: base + "alone",
		due: base + "due", dead: base + "dead", letters: base + "letters", calls: base + "call:",
		probe: base + "probe",
	}
}

func cutID(full string) (shard int, id string, ok bool) {
	number, id, ok := strings.Cut(full, "/")
	shard, err := strconv.Atoi(number)
	return shard, id, ok && err == nil && shard >= 0
}

// open makes the consumer group, and finds what this instance held when it ended.
func (s *shard) open(ctx context.Context) error {
	if err := s.create(ctx); err != nil {
		return err
	}
	if err := s.read(ctx, "0"); err != nil {
		return err
	}
	return s.refresh(ctx)
}

// create makes the group, from the beginning of the stream: what is there was
// accepted.
func (s *shard) create(ctx context.Context) error {
	err := s.q.cfg.Client.XGroupCreateMkStream(ctx, s.stream, group, "0").Err()
	if err != nil && strings.HasPrefix(err.Error(), "BUSYGROUP") {
		return nil
	}
	return err
}

// failing reports whether the shard's server did not answer just now.
func (s *shard) failing() bool {
	return time.Now().UnixMilli()-s.failed.Load() < time.Second.Milliseconds()
}

// note remembers a failure that another shard may not have.
func (s *shard) note(err error) error {
	if err != nil && !errors.Is(err, redis.Nil) {
		s.failed.Store(time.Now().UnixMilli())
	}
	return err
}

// run runs a script that ends with the shard's numbers, and keeps them.
func (s *shard) run(
	ctx context.Context, script *redis.Script, keys []string, args ...any,
) ([]any, error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	answer, err := s.eval(ctx, script, keys, args).Slice()
	if err != nil {
		return nil, s.note(err)
	}
	s.keep(answer)
	return answer, nil
}

// eval sends a script by its digest, and its text when the server has not seen it:
// NOSCRIPT says for certain that nothing was done.
func (s *shard) eval(
	ctx context.Context, script *redis.Script, keys []string, args []any,
) *redis.Cmd {
	return script.Run(ctx, s.q.cfg.Client, keys, args...)
}

// keep takes the numbers from an answer: events, entries and a version, by which the
// latest answer is told from one that was overtaken.
func (s *shard) keep(answer []any) {
	if len(answer) < 3 {
		return
	}
	n := len(answer) - 3
	seen := numbers{whole(answer[n]), whole(answer[n+1]), whole(answer[n+2])}
	s.mu.Lock()
	defer s.mu.Unlock()
	if seen.version >= s.numbers.version {
		s.numbers = seen
	}
}

func whole(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case string:
		n, _ := strconv.ParseInt(v, 10, 64)
		return n
	}
	return 0
}

func (s *shard) known() numbers {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.numbers
}

// refresh reads numbers that other instances have changed.
func (s *shard) refresh(ctx context.Context) error {
	_, err := s.run(ctx, numbersScript, []string{s.count})
	return err
}

// reset forgets numbers of before the keys were lost.
func (s *shard) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.numbers, s.ready = numbers{}, nil
}

// add appends events as one entry.
func (s *shard) add(ctx context.Context, received []event.Received, payload []byte) error {
	keys := []string{s.stream, s.count}
	_, err := s.run(ctx, addScript, keys, payload, len(received), received[0].Site)
	return s.replicated(ctx, err)
}

// call appends a call, unless its event id was accepted before.
func (s *shard) call(ctx context.Context, r *event.Received, payload []byte) error {
	key := s.calls + r.Site + ":" + r.Call.EventID
	answer, err := s.run(ctx, callScript, []string{s.stream, s.count, key}, payload, 1, r.Site,
		string(r.Identity), callDays*24*60*60)
	if err == nil && whole(answer[0]) < 0 {
		return store.ErrEventID
	}
	return s.replicated(ctx, err)
}

// replicated waits until enough replicas have what was written. Fewer means that
// nobody knows whether a failover would keep it.
func (s *shard) replicated(ctx context.Context, err error) error {
	if err != nil || s.q.cfg.Replicas == 0 {
		return err
	}
	return s.wait(ctx)
}

// take hands out entries until there is no more room.
func (s *shard) take(ctx context.Context, room *room) ([]store.Item, error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	var items []store.Item
	for {
		items = append(items, s.handOut(ctx, room)...)
		if room.full() {
			return items, nil
		}
		before := s.held()
		if err := s.claim(ctx); err != nil {
			return items, s.note(err)
		}
		if err := s.read(ctx, ">"); err != nil {
			return items, s.note(err)
		}
		if s.held() == before {
			return items, nil
		}
	}
}

func (s *shard) held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ready)
}

// handOut takes from what was read. What lay there for long may be another's by now.
func (s *shard) handOut(ctx context.Context, room *room) (items []store.Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.ready) > 0 && !room.full() {
		if time.Since(s.ready[0].since) > s.q.cfg.Hold/2 {
			s.ready = s.stillMine(ctx, s.ready)
			continue
		}
		items = append(items, s.ready[0].Item)
		room.add(s.ready[0].Item)
		s.ready = s.ready[1:]
	}
	return items
}

// stillMine begins the hold on old entries anew, and forgets those that another
// instance has claimed. What cannot be asked for is left to be claimed again.
func (s *shard) stillMine(ctx context.Context, held []entry) []entry {
	ids := make([]string, 0, len(held))
	for _, e := range held {
		_, id, _ := cutID(e.ID)
		ids = append(ids, id)
	}
	mine, err := s.q.cfg.Client.XClaimJustID(ctx, &redis.XClaimArgs{
		Stream: s.stream, Group: group, Consumer: s.q.cfg.Name, MinIdle: s.q.cfg.Hold / 4, Messages: ids,
	}).Result()
	if err != nil {
		return nil
	}
	var kept []entry
	for _, e := range held {
		if _, id, _ := cutID(e.ID); slices.Contains(mine, id) {
			kept = append(kept, entry{e.Item, time.Now()})
		}
	}
	return kept
}

// read reads new entries (">"), or those that this instance held when it ended ("0").
func (s *shard) read(ctx context.Context, from string) error {
	args := &redis.XReadGroupArgs{
		Group: group, Consumer: s.q.cfg.Name, Streams: []string{s.stream, from}, Count: fetch, Block: -1,
	}
	streams, err := s.q.cfg.Client.XReadGroup(ctx, args).Result()
	if err != nil && strings.HasPrefix(err.Error(), "NOGROUP") {
		if err := s.recreate(ctx); err != nil {
			return err
		}
		streams, err = s.q.cfg.Client.XReadGroup(ctx, args).Result()
	}
	if err != nil {
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	}
	for _, stream := range streams {
		s.hold(stream.Messages)
	}
	return nil
}

// recreate goes on after the keys were deleted under us. What was in them is lost:
// that is somebody's doing, and has to be known.
func (s *shard) recreate(ctx context.Context) error {
	s.q.cfg.Log.ErrorContext(ctx, "the queue was deleted from Redis, with every event that waited "+
		"in it; it goes on empty", "shard", s.number, "events", s.known().events)
	s.reset()
	return s.create(ctx)
}

// claim takes over what another instance has held for too long.
func (s *shard) claim(ctx context.Context) error {
	s.mu.Lock()
	due := time.Since(s.claimed) > s.q.cfg.Hold/10
	if due {
		s.claimed = time.Now()
	}
	s.mu.Unlock()
	if !due {
		return nil
	}
	messages, _, err := s.q.cfg.Client.XAutoClaim(ctx, &redis.XAutoClaimArgs{
		Stream: s.stream, Group: group, Consumer: s.q.cfg.Name, MinIdle: s.q.cfg.Hold, Start: "0-0",
		Count: fetch,
	}).Result()
	if err != nil && strings.HasPrefix(err.Error(), "NOGROUP") {
		return s.recreate(ctx)
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	if len(messages) == fetch {
		s.claimed = time.Time{} // there may be more
	}
	s.mu.Unlock()
	s.hold(messages)
	return nil
}

// hold keeps entries to hand them out.
func (s *shard) hold(messages []redis.XMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range messages {
		payload, ok := m.Values["p"].(string)
		if !ok {
			continue // deleted by somebody else; there is nothing to deliver
		}
		n, _ := m.Values["n"].(string)
		events, _ := strconv.Atoi(n)
		item := store.Item{ID: itemID(s.number, m.ID), Payload: []byte(payload), Events: max(events, 1)}
		s.ready = append(s.ready, entry{item, time.Now()})
	}
}

// release puts entries back in front. An event that travels alone is due again.
func (s *shard) release(ctx context.Context, items []store.Item) error {
	var back []entry
	for _, item := range items {
		if item.Lone {
			if err := s.postpone(ctx, item, time.Now()); err != nil {
				return err
			}
			continue
		}
		item.ID = itemID(s.number, item.ID)
		back = append(back, entry{item, time.Now()})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = append(back, s.ready...)
	return nil
}

func (s *shard) delivered(ctx context.Context, items []store.Item) error {
	args := []any{group}
	var errs []error
	for _, item := range items {
		if item.Lone {
			_, err := s.run(ctx, loneDoneScript, []string{s.alone, s.due, s.count}, item.ID)
			errs = append(errs, err)
			continue
		}
		args = append(args, item.ID, item.Events)
	}
	if len(args) > 1 {
		_, err := s.run(ctx, deliveredScript, []string{s.stream, s.count}, args...)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

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
		[]any{now.UnixMilli(), now.Add(s.q.cfg.Hold).UnixMilli()}).StringSlice()
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

// oldest is when the oldest event that is due was received.
func (s *shard) oldest(ctx context.Context) (at time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	first, err := s.q.cfg.Client.XRangeN(ctx, s.stream, "-", "+", 1).Result()
	if err != nil {
		return at, s.note(err)
	}
	for _, m := range first {
		if payload, ok := m.Values["p"].(string); ok {
			at, err = store.ReceivedAt([]byte(payload))
		}
	}
	if err != nil {
		return at, fmt.Errorf("redisqueue: entry cannot be read: %w", err)
	}
	ids, err := s.q.cfg.Client.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: s.due, ByScore: true, Start: "-inf", Stop: time.Now().UnixMilli(), Count: 1,
	}).Result()
	if err != nil || len(ids) == 0 {
		return at, s.note(err)
	}
	text, err := s.q.cfg.Client.HGet(ctx, s.alone, ids[0]).Result()
	if err != nil {
		return at, s.note(err)
	}
	_, payload, _ := strings.Cut(text, "\n")
	if lone, err := store.ReceivedAt([]byte(payload)); err == nil && (at.IsZero() || lone.Before(at)) {
		at = lone
	}
	return at, nil
}
