// Package upstash publishes accepted events to QStash, which then delivers them to
// POST /api/sync/worker in place of this server's own queue and dispatcher. The worker
// verifies the same signature either way.
//
// QStash tries a delivery again for every answer but a success, with pauses of 12 s,
// 2.5 min, 30 min, 6 h and 24 h, as often as the plan allows, and then moves it to its
// own dead letters: what this server's dispatcher never gives up, QStash does. Set a
// plan with enough retries, and an alert for its dead letters.
// (https://upstash.com/docs/qstash/features/retry)
package upstash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/opsmantik/sallyport/examples/ingest/event"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

const (
	// DefaultURL is where QStash is.
	DefaultURL = "https://qstash.upstash.io"
	// maxMessage is the largest message that every plan takes, with room for what is
	// around it.
	maxMessage = 1<<20 - 16<<10
	// answerLimit is how long QStash may take; after it, the outcome is unknown.
	answerLimit = 5 * time.Second
	// doubtful is how long a failure keeps this instance from being ready.
	doubtful = 5 * time.Second
	// maxAnswer bounds what is read of an answer.
	maxAnswer = 256 << 10
)

// Config says where to publish.
type Config struct {
	URL       string // of QStash; default DefaultURL
	Token     string // QSTASH_TOKEN
	WorkerURL string // the public URL of POST /api/sync/worker
	Retries   int    // per message; 0 means as many as the plan has
	Client    *http.Client
}

// Producer publishes. It is safe for concurrent use.
type Producer struct {
	cfg    Config
	failed atomic.Int64 // when publishing last failed, in Unix milliseconds
}

// New checks the configuration. It sends nothing.
func New(cfg Config) (*Producer, error) {
	if cfg.URL == "" {
		cfg.URL = DefaultURL
	}
	for name, text := range map[string]string{"URL": cfg.URL, "WorkerURL": cfg.WorkerURL} {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
			return nil, fmt.Errorf("upstash: %s: want a URL such as https://ingest.example.com/", name)
		}
	}
	if cfg.Token == "" || cfg.Retries < 0 {
		return nil, errors.New("upstash: want a Token, and Retries from 0 up")
	}
	if cfg.Client == nil {
		cfg.Client = &http.Client{
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute,
				ForceAttemptHTTP2: true,
			},
			// The token goes to QStash and nowhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return &Producer{cfg: cfg}, nil
}

// Enqueue returns once QStash has the events, as one message where they fit. An error
// may mean that it has some or all of them, when no answer came: the sender's repeat
// is recognised when it is stored.
func (p *Producer) Enqueue(ctx context.Context, received []event.Received) error {
	messages, err := pack(received)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	if len(messages) == 1 {
		err = p.publish(ctx, messages[0])
	} else {
		err = p.batch(ctx, messages)
	}
	if err != nil {
		p.failed.Store(time.Now().UnixMilli())
		return err
	}
	p.failed.Store(0)
	return nil
}

// Ready reports whether publishing worked when it was last tried. QStash is not asked:
// a message only to see whether one is taken would be delivered.
func (p *Producer) Ready(context.Context) error {
	if time.Now().UnixMilli()-p.failed.Load() < doubtful.Milliseconds() {
		return errors.New("upstash: publishing failed just now")
	}
	return nil
}

// message is the body of one delivery.
type message struct {
	id   string // unique: QStash drops a second one of the same id
	body []byte
}

// pack puts events into as few messages as they fit in.
func pack(received []event.Received) (messages []message, err error) {
	for first := 0; first < len(received); {
		var body []byte
		n := len(received) - first
		for ; ; n = (n + 1) / 2 {
			payload, err := store.Encode(received[first : first+n])
			if err != nil {
				return nil, err
			}
			body = append(append([]byte(`{"events":[`), payload...), "]}"...)
			if len(body) <= maxMessage || n == 1 {
				break
			}
		}
		messages = append(messages, message{received[first].ID, body})
		first += n
	}
	return messages, nil
}

// headers are those of one message. The id is this request's and not the events'
// identity: two equal events a minute apart are two, and QStash would drop one.
func (p *Producer) headers(m message) map[string]string {
	h := map[string]string{
		"Content-Type": "application/json", "Upstash-Method": http.MethodPost,
		"Upstash-Deduplication-Id": m.id,
	}
	if p.cfg.Retries > 0 {
		h["Upstash-Retries"] = strconv.Itoa(p.cfg.Retries)
	}
	return h
}

// taken is how QStash says that it has a message.
type taken struct {
	MessageID string `json:"messageId"`
	Error     string `json:"error"`
}

func (p *Producer) publish(ctx context.Context, m message) error {
	var answer taken
	// The destination is part of the path as it is, and not escaped.
	err := p.post(ctx, "/v2/publish/"+p.cfg.WorkerURL, m.body, p.headers(m), &answer)
	if err == nil && answer.MessageID == "" {
		err = errors.New("upstash: the answer names no message")
	}
	return err
}

// one is an element of a batch.
type one struct {
	Destination string            `json:"destination"`
	Headers     map[string]string `json:"headers"`
	Body        string            `json:"body"`
}

// batch publishes several messages. QStash may take some and not others: then none
// counts as taken.
func (p *Producer) batch(ctx context.Context, messages []message) error {
	batch := make([]one, len(messages))
	for i, m := range messages {
		batch[i] = one{p.cfg.WorkerURL, p.headers(m), string(m.body)}
	}
	body, err := json.Marshal(batch)
	if err != nil {
		return errors.New("upstash: events cannot be encoded")
	}
	var answers []taken
	json1 := map[string]string{"Content-Type": "application/json"}
	if err := p.post(ctx, "/v2/batch", body, json1, &answers); err != nil {
		return err
	}
	for _, answer := range answers {
		if answer.MessageID == "" {
			return errors.New("upstash: a message of the batch was not taken")
		}
	}
	if len(answers) != len(messages) {
		return fmt.Errorf("upstash: %d answers for %d messages", len(answers), len(messages))
	}
	return nil
}

func (p *Producer) post(
	ctx context.Context, path string, body []byte, headers map[string]string, answer any,
) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.cfg.URL+path, bytes.NewReader(body))
	if err != nil {
		return errors.New("upstash: request cannot be made")
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Authorization", "Bearer "+p.cfg.Token)
	res, err := p.cfg.Client.Do(req)
	if err != nil {
		return fmt.Errorf("upstash: publish: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("upstash: answer: %w", err)
	}
	// 202 says that it has a message of this id already.
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("upstash: status %d", res.StatusCode) // its text may quote the events
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return errors.New("upstash: the answer cannot be read")
	}
	return nil
}
