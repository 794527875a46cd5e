package hmacsig_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/hmacsig"
)

// Every limit of a configuration, just within and just beyond.
func TestLimitsOfACache(t *testing.T) {
	t.Parallel()
	source := &source{ring: rotation(t, hmacsig.Generate(), hmacsig.Secret{})}
	const day = 24 * time.Hour
	for _, row := range []struct {
		cfg hmacsig.CacheConfig
		bad string
	}{
		{hmacsig.CacheConfig{}, ""},
		{hmacsig.CacheConfig{TTL: day, NegativeTTL: day, MaxEntries: 1, Timeout: 1, MaxLoads: 1}, ""},
		{hmacsig.CacheConfig{TTL: 1}, ""},
		{hmacsig.CacheConfig{TTL: -1}, "TTL"},
		{hmacsig.CacheConfig{TTL: day + 1}, "TTL"},
		{hmacsig.CacheConfig{NegativeTTL: -1}, "NegativeTTL"},
		{hmacsig.CacheConfig{TTL: time.Second, NegativeTTL: time.Second + 1}, "NegativeTTL"},
		{hmacsig.CacheConfig{MaxEntries: -1}, "MaxEntries"},
		{hmacsig.CacheConfig{Timeout: -1}, "Timeout"},
		{hmacsig.CacheConfig{MaxLoads: -1}, "MaxLoads"},
	} {
		row.cfg.Source = source
		_, err := hmacsig.NewCache(row.cfg)
		if row.bad == "" {
			require.NoError(t, err, "%+v", row.cfg)
			continue
		}
		require.ErrorContains(t, err, "hmacsig: "+row.bad+":")
	}
}

// A cache answers with the keys of its source, from wherever they come, and an id
// that is created or deleted changes sides.
func TestCacheHandsKeysOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		exists := true
		keys := rotation(t, hmacsig.Generate(), hmacsig.Generate())
		c := cache(t, hmacsig.CacheConfig{
			Source: sourceFunc(func(context.Context, string) (hmacsig.Keyring, error) {
				time.Sleep(time.Second)
				if exists {
					return keys, nil
				}
				return hmacsig.Keyring{}, hmacsig.ErrUnknownKey
			}),
			TTL: time.Minute, NegativeTTL: time.Minute,
		})
		ask := func(want int) {
			t.Helper()
			got, err := c.Keys(t.Context(), "a")
			require.Equal(t, want, got.Len())
			require.Equal(t, want == 0, err != nil)
		}
		joined := make(chan int)
		for range 3 {
			go func() {
				got, _ := c.Keys(t.Context(), "a")
				joined <- got.Len()
			}()
		}
		for range 3 {
			require.Equal(t, 2, <-joined)
		}
		ask(2)
		exists = false
		time.Sleep(time.Minute)
		ask(0)
		ask(0)
		exists = true
		time.Sleep(time.Minute)
		ask(2)
		time.Sleep(30 * time.Second)
		ask(2)
	})
}

func TestLimitsOfAKeyring(t *testing.T) {
	t.Parallel()
	keys := func(n int) (all []hmacsig.Key) {
		for i := range n {
			all = append(all, hmacsig.Key{Name: fmt.Sprint(i), Secret: hmacsig.Generate()})
		}
		return all
	}
	full, err := hmacsig.NewKeyring(keys(8)...)
	require.NoError(t, err)
	require.Equal(t, 8, full.Len())
	for _, n := range []int{0, 9} {
		_, err := hmacsig.NewKeyring(keys(n)...)
		require.ErrorContains(t, err, "1 to 8", n)
	}
	now := time.Now()
	for _, row := range []struct {
		from, to time.Time
		ok       bool
	}{
		{time.Time{}, now, true},
		{now, time.Time{}, true},
		{now, now, true},
		{now, now.Add(time.Hour), true},
		{now, now.Add(-1), false},
	} {
		k := keys(1)
		k[0].NotBefore, k[0].NotAfter = row.from, row.to
		_, err := hmacsig.NewKeyring(k...)
		require.Equal(t, row.ok, err == nil)
	}
	_, err = hmacsig.StaticKeys{}.Keys(t.Context(), "nobody")
	require.ErrorIs(t, err, hmacsig.ErrUnknownKey)
	k := keys(1)
	k[0].NotAfter = now.Add(time.Hour)
	open, err := hmacsig.NewKeyring(k...)
	require.NoError(t, err)
	_, active := open.Signing(now)
	require.True(t, active, "without a beginning")
}

func TestLimitsOfAScheme(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*hmacsig.Scheme){
		"no name":     func(s *hmacsig.Scheme) { s.Name = "" },
		"no Read":     func(s *hmacsig.Scheme) { s.Read = nil },
		"no Base":     func(s *hmacsig.Scheme) { s.Base = nil },
		"long name":   func(s *hmacsig.Scheme) { s.Name = strings.Repeat("x", 256) },
		"status 399":  func(s *hmacsig.Scheme) { s.Status = 399 },
		"status 500":  func(s *hmacsig.Scheme) { s.Status = 500 },
		"no age":      func(s *hmacsig.Scheme) { s.MaxAge = 0 },
		"age too low": func(s *hmacsig.Scheme) { s.MaxAge = time.Second - 1 },
		"too old":     func(s *hmacsig.Scheme) { s.MaxAge = 24*time.Hour + 1 },
		"too early":   func(s *hmacsig.Scheme) { s.MaxAhead = 24*time.Hour + 1 },
		"from before": func(s *hmacsig.Scheme) { s.MaxAhead = -1 },

		"ok: name":   func(s *hmacsig.Scheme) { s.Name = strings.Repeat("x", 255) },
		"ok: 400":    func(s *hmacsig.Scheme) { s.Status = 400 },
		"ok: 499":    func(s *hmacsig.Scheme) { s.Status = 499 },
		"ok: second": func(s *hmacsig.Scheme) { s.MaxAge, s.MaxAhead = time.Second, 0 },
		"ok: a day":  func(s *hmacsig.Scheme) { s.MaxAge, s.MaxAhead = 24*time.Hour, 24*time.Hour },
	} {
		scheme := hmacsig.Slack()
		change(&scheme)
		keys := hmacsig.StaticKeys{"": rotation(t, hmacsig.Generate(), hmacsig.Secret{})}
		_, err := hmacsig.New(hmacsig.Config{Scheme: scheme, Keys: keys})
		require.Equal(t, strings.HasPrefix(name, "ok"), err == nil, "%s: %v", name, err)
	}
	for name, change := range map[string]func(*hmacsig.SignerConfig){
		"no name":   func(c *hmacsig.SignerConfig) { c.Scheme.Name = "" },
		"no Base":   func(c *hmacsig.SignerConfig) { c.Scheme.Base = nil },
		"no Write":  func(c *hmacsig.SignerConfig) { c.Scheme.Write = nil },
		"no secret": func(c *hmacsig.SignerConfig) { c.Secret = hmacsig.Secret{} },
		"key id":    func(c *hmacsig.SignerConfig) { c.KeyID = strings.Repeat("x", 257) },
		"ok":        func(*hmacsig.SignerConfig) {},
		"ok: 256":   func(c *hmacsig.SignerConfig) { c.KeyID = strings.Repeat("x", 256) },
	} {
		cfg := hmacsig.SignerConfig{Scheme: hmacsig.OpsMantik(), KeyID: site, Secret: hmacsig.Generate()}
		cfg.Scheme.KeyID = func(string) bool { return true }
		change(&cfg)
		_, err := hmacsig.NewSigner(cfg)
		require.Equal(t, strings.HasPrefix(name, "ok"), err == nil, "%s: %v", name, err)
		if name == "key id" {
			require.Less(t, len(err.Error()), 120, "it is not quoted whole")
		}
	}
}

// The windows of the shipped schemes are those of their vendors.
func TestWindowsOfTheSchemes(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		scheme     hmacsig.Scheme
		age, ahead time.Duration
	}{
		{hmacsig.OpsMantik(), 300 * time.Second, 60 * time.Second},
		{hmacsig.RFC9421(), 300 * time.Second, 60 * time.Second},
		{hmacsig.StandardWebhooks(), 300 * time.Second, 300 * time.Second},
		{hmacsig.Svix(), 300 * time.Second, 300 * time.Second},
		{hmacsig.Stripe(), 300 * time.Second, 300 * time.Second},
		{hmacsig.Slack(), 300 * time.Second, 300 * time.Second},
		{hmacsig.GitHub(), 24 * time.Hour, 0},
	} {
		require.Equal(t, row.age, row.scheme.MaxAge, row.scheme.Name)
		require.Equal(t, row.ahead, row.scheme.MaxAhead, row.scheme.Name)
	}
}

// A body of exactly the limit, whatever stands in front of it under the MAC.
func TestBodyOfExactlyTheLimit(t *testing.T) {
	t.Parallel()
	for _, scheme := range []hmacsig.Scheme{hmacsig.OpsMantik(), hmacsig.RFC9421(), hmacsig.GitHub()} {
		for _, size := range []int{1, 511, 512, 70_000, 300_000} {
			s := hmacsig.Generate()
			v := custom(t, scheme, s, func(c *hmacsig.Config) { c.MaxBodyBytes = int64(size) })
			for extra, want := range []string{"", hmacsig.CodeBodyTooLarge} {
				for _, announced := range []bool{true, false} {
					content := strings.Repeat("x", size+extra)
					r := signAt(t, scheme, s, time.Now(), content)
					if !announced {
						r.ContentLength = -1
					}
					proof, err := v.Check(r)
					require.Equal(t, want, reasonOf(t, err), "%s %d", scheme.Name, size)
					if err != nil {
						continue
					}
					got, err := io.ReadAll(r.Body)
					require.NoError(t, err)
					require.Equal(t, content, string(got))
					require.Equal(t, int64(size), r.ContentLength)
					require.NoError(t, v.Release(t.Context(), proof))
				}
			}
		}
	}
}

// Without a replay store the handler runs all the same, with the proof.
func TestHandlerRunsWithoutAStore(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	v := custom(t, hmacsig.OpsMantik(), s, func(c *hmacsig.Config) { c.DangerouslyAllowReplay = true })
	h := v.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proof, ok := hmacsig.FromContext(r.Context())
		require.True(t, ok)
		require.Equal(t, site, proof.KeyID)
		w.WriteHeader(http.StatusTeapot)
	}))
	require.Equal(t, http.StatusTeapot, serve(h, signAt(t, hmacsig.OpsMantik(), s, time.Now(), "{}")).Code)
	_, err := v.Check(signAt(t, hmacsig.OpsMantik(), s, time.Now(), "{}"))
	require.NoError(t, err)
}

func TestChallengeOfAScheme(t *testing.T) {
	t.Parallel()
	for own, want := range map[string]string{"": `Signature scheme="opsmantik"`, "Acme": "Acme"} {
		scheme := hmacsig.OpsMantik()
		scheme.Challenge = own
		h := verifier(t, scheme, hmacsig.Generate()).Wrap(status(http.StatusOK))
		w := serve(h, httptest.NewRequest(http.MethodPost, "/", nil))
		require.Equal(t, want, w.Header().Get("WWW-Authenticate"))
	}
}

// What a Secret shows is the same word everywhere, and not nothing.
func TestSecretShowsOneWord(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	text, err := json.Marshal(s)
	require.NoError(t, err)
	for _, shown := range []string{
		s.String(), fmt.Sprintf("%v", s), fmt.Sprintf("%x", s), strings.Trim(string(text), `"`),
		slog.AnyValue(s).Resolve().String(),
	} {
		require.Equal(t, "[redacted]", shown)
	}
	require.False(t, s.Equal(hmacsig.Secret{}))
	require.False(t, hmacsig.Secret{}.Equal(s))
	require.Equal(t, "hmacsig: signature_expired", hmacsig.Fault(hmacsig.CodeSignatureExpired).Error())
}

// An unsettled claim without a hook is nobody's panic.
func TestUnsettledWithoutAHook(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	store := &answering{state: hmacsig.Claimed, settled: make(chan context.Context, 9), onSettle: io.ErrClosedPipe}
	v := custom(t, hmacsig.OpsMantik(), s, func(c *hmacsig.Config) { c.Replay = store })
	w := httptest.NewRecorder()
	require.NotPanics(t, func() {
		v.Wrap(status(http.StatusAccepted)).ServeHTTP(w, signAt(t, hmacsig.OpsMantik(), s, time.Now(), "{}"))
	})
	require.Equal(t, http.StatusAccepted, w.Code)
}

// A proof that claimed nothing settles nothing.
func TestSettlingWithoutAClaim(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	store := &answering{state: hmacsig.Claimed, settled: make(chan context.Context, 9)}
	v := custom(t, hmacsig.OpsMantik(), s, func(c *hmacsig.Config) { c.Replay = store })
	require.NoError(t, v.Confirm(t.Context(), hmacsig.Proof{}))
	require.NoError(t, v.Release(t.Context(), hmacsig.Proof{}))
	require.Empty(t, store.settled)
}

// An entry of the in-process store lives to the end of its last second and the
// grace, and not a second longer.
func TestMemoryEntryEndsExactly(t *testing.T) {
	t.Parallel()
	for _, settled := range []bool{false, true} {
		m := memory(t, hmacsig.MemoryConfig{})
		e := numbered(1, start)
		e.Until = start.Add(time.Minute)
		state, err := m.Claim(t.Context(), e)
		require.NoError(t, err)
		require.Equal(t, hmacsig.Claimed, state)
		want := hmacsig.InFlight
		if settled {
			require.NoError(t, m.Confirm(t.Context(), e))
			want = hmacsig.Replayed
		}
		for after, want := range map[time.Duration]hmacsig.ClaimState{
			0: want, time.Minute: want, 69 * time.Second: want,
		} {
			try := e
			try.At = start.Add(after)
			state, err = m.Claim(t.Context(), try)
			require.NoError(t, err)
			require.Equal(t, want, state, after)
		}
		late := e
		late.At = start.Add(70 * time.Second)
		late.Until = late.At.Add(time.Minute)
		state, err = m.Claim(t.Context(), late)
		require.NoError(t, err)
		require.Equal(t, hmacsig.Claimed, state)
	}
	_, err := hmacsig.NewMemoryReplay(hmacsig.MemoryConfig{Entries: 1 << 24, PerKeyID: 1 << 24})
	require.NoError(t, err)
}

// A signer takes requests of every make.
func TestSignerFillsWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := hmacsig.Generate()
	signer, err := hmacsig.NewSigner(hmacsig.SignerConfig{Scheme: hmacsig.Slack(), Secret: s})
	require.NoError(t, err)
	bare := &http.Request{Method: http.MethodPost}
	require.NoError(t, signer.Sign(bare))
	require.NotEmpty(t, bare.Header.Get("X-Slack-Signature"))
	empty := httptest.NewRequest(http.MethodPost, "/", http.NoBody)
	require.NoError(t, signer.Sign(empty))
	require.Equal(t, http.NoBody, empty.Body)
	chunked := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}"))
	chunked.ContentLength = -1
	require.NoError(t, signer.Sign(chunked))
	require.Equal(t, int64(2), chunked.ContentLength)
	var problem *sallyport.ConfigError
	_, err = hmacsig.NewSigner(hmacsig.SignerConfig{})
	require.ErrorAs(t, err, &problem)
}

// Signatures: their number, and every digit of theirs.
func TestLimitsOfSignatures(t *testing.T) {
	t.Parallel()
	const zeros = "0000000000000000000000000000000000000000000000000000000000000000"
	var m hmacsig.Message
	for i := range 64 {
		for _, c := range "gG/:@`\x00\xff" {
			require.False(t, m.AddHex(zeros[:i]+string(byte(c))+zeros[i+1:]), "digit %d %q", i, c)
		}
	}
	for i := range 8 {
		require.True(t, m.AddHex(zeros), i)
	}
	require.False(t, m.AddHex(zeros), "a ninth")
	require.False(t, m.AddBase64(strings.Repeat("A", 43)+"="), "a ninth")
	require.Len(t, hmacsig.ExportParts(&m), 8)
	for text, ok := range map[string]bool{
		strings.Repeat("A", 43) + "=": true, strings.Repeat("A", 44): false,
		strings.Repeat("A", 42) + "\n=": false, strings.Repeat("A", 42) + "B=": false,
		"\n" + strings.Repeat("A", 42) + "=": false, strings.Repeat("A", 40) + "A===": false,
	} {
		var m hmacsig.Message
		require.Equal(t, ok, m.AddBase64(text), "%q", text)
	}
}

// What RFC9421 builds from a request, letter by letter.
func TestRFC9421Letters(t *testing.T) {
	t.Parallel()
	base := func(r *http.Request) string {
		return string(hmacsig.RFC9421().Base(nil, r, &hmacsig.Message{Raw: "x"}))
	}
	require.Contains(t, base(&http.Request{Host: "@AMZ[amz`{09-.:8080"}), "\"@authority\": @amz[amz`{09-.:8080\n")
	require.Contains(t, base(&http.Request{}), "\"@authority\": \n\"@path\": /\n\"@query\": ?\n")
	require.Contains(t, base(&http.Request{Host: "a:443"}), "\"@authority\": a\n")
	require.Contains(t, base(&http.Request{Host: "a:4433"}), "\"@authority\": a:4433\n")
	s := hmacsig.Generate()
	v := verifier(t, hmacsig.RFC9421(), s)
	for _, change := range []func(*http.Request){
		func(r *http.Request) { r.Method = "\nPOST" },
		func(r *http.Request) { r.Host = "\n" },
	} {
		r := signAt(t, hmacsig.RFC9421(), s, time.Now(), "{}")
		change(r)
		_, err := v.Check(r)
		require.Equal(t, hmacsig.CodeSignatureMalformed, reasonOf(t, err))
	}
	for size, ok := range map[int]bool{1: true, 128: true, 129: false} {
		id := strings.Repeat("k", size)
		require.Equal(t, ok, hmacsig.RFC9421().KeyID(id), size)
	}
	for size, ok := range map[int]bool{0: false, 1: true, 64: true, 65: false} {
		require.Equal(t, ok, hmacsig.OpsMantik().KeyID(strings.Repeat("k", size)), size)
	}
}

// What counts as a success, status by status.
func TestStatusesThatConfirm(t *testing.T) {
	t.Parallel()
	for code, done := range map[int]bool{
		200: true, 202: true, 204: true, 206: true, 299: true,
		300: false, 301: false, 304: false, 307: false, 400: false, 404: false, 409: false, 500: false,
	} {
		s := hmacsig.Generate()
		h := verifier(t, hmacsig.OpsMantik(), s).Wrap(status(code))
		request := signed(t, s, "{}")
		require.Equal(t, code, serve(h, request()).Code)
		want := code
		if done {
			want = http.StatusConflict
		}
		require.Equal(t, want, serve(h, request()).Code, code)
	}
}

// Placeholders, and what only looks like one.
func TestPlaceholders(t *testing.T) {
	t.Parallel()
	const random = "uJ9xK3vQ7sTn2WcY5bRd8fGh4jLm6pZa"
	for text, ok := range map[string]bool{
		random: true, "todo" + random: false, random + "todo": true, random + "ChangeMe": false,
		random + "-example": false, strings.Repeat("abcd", 8): false, strings.Repeat("abcdf", 7): true,
		"abcdefghijklmnopqrstuvwxyz012345": false, "sk" + random: true, "sk_" + random: false,
	} {
		_, err := hmacsig.NewSecret(hmacsig.SecretConfig{Value: text})
		require.Equal(t, ok, err == nil, "%s: %v", text, err)
	}
	for size, ok := range map[int]bool{31: false, 32: true, 512: true, 513: false} {
		_, err := hmacsig.NewSecret(hmacsig.SecretConfig{Value: strings.Repeat(random, 17)[:size]})
		require.Equal(t, ok, err == nil, size)
	}
	for size, ok := range map[int]bool{15: false, 16: true} {
		_, err := hmacsig.NewSecret(hmacsig.SecretConfig{Value: random[:size], AllowShort: true})
		require.Equal(t, ok, err == nil, size)
	}
}

// What is malformed stays so behind a signature that is well formed.
func TestMalformedBehindASignature(t *testing.T) {
	t.Parallel()
	zeros := strings.Repeat("0", 64)
	mac := "v1," + strings.Repeat("A", 43) + "="
	for _, row := range []struct {
		name, header, value string
		scheme              hmacsig.Scheme
	}{
		{"second t", "Stripe-Signature", "t=1795299383,v1=" + zeros + ",t=1795299384", hmacsig.Stripe()},
		{"bad t", "Stripe-Signature", "v1=" + zeros + ",t=1", hmacsig.Stripe()},
		{"no value", "Stripe-Signature", "t=1795299383,v1=" + zeros + ",x", hmacsig.Stripe()},
		{"no t", "Stripe-Signature", "v1=" + zeros, hmacsig.Stripe()},
		{"bad second", "Stripe-Signature", "t=1795299383,v1=" + zeros + ",v1=0", hmacsig.Stripe()},
		{"bad second", "Webhook-Signature", mac + " v1,A", hmacsig.StandardWebhooks()},
		{"two blanks", "Webhook-Signature", mac + "  v1,", hmacsig.StandardWebhooks()},
		{"bad id", "Webhook-Id", "a.b", hmacsig.StandardWebhooks()},
		{"bad time", "Webhook-Timestamp", "1", hmacsig.StandardWebhooks()},
		{"other version", "X-Slack-Signature", "v1=" + zeros, hmacsig.Slack()},
		{"bad time", "X-Slack-Request-Timestamp", "1", hmacsig.Slack()},
		{"bad site", "X-Ops-Site-Id", "a b", hmacsig.OpsMantik()},
		{"other label", "Signature", "sig2=:" + mac[3:] + ":", hmacsig.RFC9421()},
		{"other hash", "Content-Digest", "sha-512=:" + mac[3:] + ":", hmacsig.RFC9421()},
		{"short digest", "Content-Digest", "sha-256=:AAAA:", hmacsig.RFC9421()},
		{"no digest", "Content-Digest", "x", hmacsig.RFC9421()},
		{"no label", "Signature-Input", "x", hmacsig.RFC9421()},
	} {
		s := hmacsig.Generate()
		r := signAt(t, row.scheme, s, time.Now(), "{}")
		r.Header[row.header] = []string{row.value}
		_, err := verifier(t, row.scheme, s).Check(r)
		require.Equal(t, hmacsig.CodeSignatureMalformed, reasonOf(t, err), "%s %s", row.scheme.Name, row.name)
	}
	for _, scheme := range append(all(), hmacsig.Svix()) {
		s := hmacsig.Generate()
		for name := range signAt(t, scheme, s, time.Now(), "{}").Header {
			r := signAt(t, scheme, s, time.Now(), "{}")
			r.Header.Del(name)
			_, err := verifier(t, scheme, s).Check(r)
			require.Equal(t, hmacsig.CodeSignatureMissing, reasonOf(t, err), "%s %s", scheme.Name, name)
			require.ErrorContains(t, err, name)
		}
	}
}
