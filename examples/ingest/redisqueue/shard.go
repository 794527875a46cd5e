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
	held    map[string]bool // entries that this instance knows to have
	ready   []store.Item    // those of them that are not handed out
	claimed time.Time       // when entries of others were last looked for
	beat    time.Time       // when this instance last said that it is alive
}

func newShard(q *Queue, n int) *shard {
	base := q.cfg.Prefix + "{q" + strconv.Itoa(n) + "}:"
	return &shard{
		q: q, number: n, stream: base + "stream", count: base + "count", alone: base + "alone",
		due: base + "due", dead: base + "dead", letters: base + "letters", calls: base + "call:",
		probe: base + "probe", held: map[string]bool{},
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
	if err := s.alive(ctx); err != nil {
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
	s.numbers, s.ready, s.held = numbers{}, nil, map[string]bool{}
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
	if s.silent(s.q.cfg.Hold) {
		// What was read may be another's by now.
		if err := s.alive(ctx); err != nil {
			return nil, err
		}
	}
	for {
		items = append(items, s.handOut(room)...)
		if room.full() {
			return items, nil
		}
		before := s.found()
		if err := s.claim(ctx); err != nil {
			return items, s.note(err)
		}
		if err := s.read(ctx, ">"); err != nil {
			return items, s.note(err)
		}
		if s.found() == before {
			return items, nil
		}
	}
}

func (s *shard) found() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ready)
}

// handOut takes from what was read.
func (s *shard) handOut(room *room) (items []store.Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.ready) > 0 && !room.full() {
		items = append(items, s.ready[0])
		room.add(s.ready[0])
		s.ready = s.ready[1:]
	}
	return items
}

// alive begins the hold on everything that this instance knows to have anew, and
// forgets what another one has claimed meanwhile. What it does not know of, because an
// answer was lost, is left to be claimed.
func (s *shard) alive(ctx context.Context) error {
	s.mu.Lock()
	args := []any{group, s.q.cfg.Name}
	known := make([]string, 0, len(s.held))
	for id := range s.held {
		args, known = append(args, id), append(known, id)
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	mine, err := s.eval(ctx, aliveScript, []string{s.stream}, args).StringSlice()
	if err != nil {
		return s.note(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat = time.Now()
	still := make(map[string]bool, len(mine))
	for _, id := range mine {
		still[id] = true
	}
	for _, id := range known {
		if !still[id] {
			delete(s.held, id)
		}
	}
	s.ready = slices.DeleteFunc(s.ready, func(item store.Item) bool {
		_, id, _ := cutID(item.ID)
		return !s.held[id]
	})
	return nil
}

// silent reports whether this instance was not heard of for a while.
func (s *shard) silent(limit time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.beat) > limit
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
		if s.held[m.ID] {
			continue // it is on its way
		}
		s.held[m.ID] = true
		item := store.Item{ID: itemID(s.number, m.ID), Payload: []byte(payload), Events: max(events, 1)}
		s.ready = append(s.ready, item)
	}
}

// release puts entries back in front. An event that travels alone is due again.
func (s *shard) release(ctx context.Context, items []store.Item) error {
	var back []store.Item
	for _, item := range items {
		if item.Lone {
			if err := s.postpone(ctx, item, time.Now()); err != nil {
				return err
			}
			continue
		}
		item.ID = itemID(s.number, item.ID)
		back = append(back, item)
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
		s.settled(items, err)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// settled forgets entries, or hands them out again if nobody knows what became of
// them: an entry that is acknowledged twice counts once.
func (s *shard) settled(items []store.Item, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, item := range items {
		switch {
		case item.Lone:
		case err == nil:
			delete(s.held, item.ID)
		default:
			item.ID = itemID(s.number, item.ID)
			s.ready = append(s.ready, item)
		}
	}
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
