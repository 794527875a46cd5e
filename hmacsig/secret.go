package hmacsig

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

// Sizes of a secret, in bytes. 32 is the output size of SHA-256, below which
// RFC 2104 section 3 discourages a key; 16 is what older contracts allow.
const (
	minSecret      = 32
	minShortSecret = 16
	maxSecret      = 512
	minDistinct    = 5
)

// redacted is what every way of printing a Secret shows.
const redacted = "[redacted]"

// Secret is a signing key. It is opaque: every fmt verb, encoding/json,
// encoding.TextMarshaler and slog show "[redacted]"; only Reveal gives the
// value. Copies share one key. It is safe for concurrent use. The zero Secret
// is no secret and is refused wherever one is needed.
type Secret struct {
	// A function, because fmt prints what a pointer in somebody's unexported
	// field points to when the verb does not fit it, without asking Format. It
	// also keeps == away, which is not constant time.
	key func() *key
}

// key holds the bytes and a pool of HMAC states keyed with them: restoring a
// keyed state costs half of keying one anew on a small message.
type key struct {
	raw     []byte
	decoded bool // made by NewWebhookSecret
	states  sync.Pool
}

// SecretConfig is the input of NewSecret.
type SecretConfig struct {
	_ [0]func()

	// Value is the secret as text; its bytes are the HMAC key. 32 to 512
	// bytes. A trailing NUL is refused, because HMAC pads keys with NULs and
	// "k" would equal "k\x00"; so are placeholders.
	Value string
	// AllowShort admits 16 to 31 bytes, for contracts that allow them.
	AllowShort bool
}

// NewSecret checks and wraps a secret. The error is a *sallyport.ConfigError
// that never holds the value.
func NewSecret(cfg SecretConfig) (Secret, error) {
	least := minSecret
	if cfg.AllowShort {
		least = minShortSecret
	}
	if code, problem := secretProblem(cfg.Value, least, maxSecret); code != "" {
		return Secret{}, secretError(code, problem)
	}
	return newSecret([]byte(cfg.Value), false), nil
}

func secretError(code, problem string) error {
	list := configerr.For(gateName)
	list.Add("Secret", "", code, problem)
	return list.Err()
}

// NewWebhookSecret takes the Standard Webhooks form: "whsec_" and the base64
// of 24 to 64 bytes (the prefix may be absent, as the specification says). It is
// for StandardWebhooks and Svix.
//
// Stripe's secrets begin with "whsec_" as well and are used as they are: they
// take NewSecret. The two cannot be told apart, so New and NewSigner refuse a
// secret of the wrong kind.
func NewWebhookSecret(text string) (Secret, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(strings.TrimPrefix(text, "whsec_"))
	if err != nil {
		return Secret{}, secretError(sallyport.ConfigMalformed, "is not whsec_ and base64")
	}
	if code, problem := secretProblem(string(raw), 24, 64); code != "" {
		return Secret{}, secretError(code, problem)
	}
	return newSecret(raw, true), nil
}

// Generate makes a secret of 32 random bytes, written as 43 characters of
// base64url so that it can be pasted into any configuration.
func Generate() Secret {
	var raw [minSecret]byte
	_, _ = rand.Read(raw[:]) // never fails: it crashes the program instead
	return newSecret([]byte(base64.RawURLEncoding.EncodeToString(raw[:])), false)
}

func newSecret(raw []byte, decoded bool) Secret {
	k := &key{raw: raw, decoded: decoded}
	k.states.New = func() any { return hmac.New(sha256.New, k.raw) }
	return Secret{key: func() *key { return k }}
}

// Reveal returns the value, for the one moment when a person or another
// program must be handed it.
func (s Secret) Reveal() string {
	if s.key == nil {
		return ""
	}
	return string(s.key().raw)
}

// IsZero reports whether s is no secret at all.
func (s Secret) IsZero() bool { return s.key == nil }

// Equal compares in constant time. Two zero secrets are not equal.
func (s Secret) Equal(other Secret) bool {
	return s.key != nil && other.key != nil && Equal(s.key().raw, other.key().raw)
}

// String shows nothing of the secret.
func (s Secret) String() string { return redacted }

// Format shows nothing of the secret, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText shows nothing of the secret; encoding/json uses it too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue shows nothing of the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// mac appends HMAC-SHA256(secret, text) to dst.
func (k *key) mac(dst, text []byte) []byte {
	h, _ := k.states.Get().(hash.Hash)
	h.Reset()
	h.Write(text)
	dst = h.Sum(dst)
	k.states.Put(h)
	return dst
}

// secretProblem says what is wrong with a secret, without quoting it.
func secretProblem(s string, least, most int) (code, problem string) {
	switch {
	case s == "":
		return sallyport.ConfigRequired, "is empty"
	case len(s) < least:
		return sallyport.ConfigInsecure, fmt.Sprintf("has %d bytes; want at least %d", len(s), least)
	case len(s) > most:
		return sallyport.ConfigOutOfRange, fmt.Sprintf("has %d bytes; want at most %d", len(s), most)
	case s[len(s)-1] == 0:
		return sallyport.ConfigInsecure, "ends in a NUL byte, which HMAC does not tell from padding"
	case isPlaceholder(s):
		return sallyport.ConfigInsecure, "is a placeholder, not a random value"
	case isAPIKey(s):
		return sallyport.ConfigInsecure, "is an API key (sk_, rk_ or pk_) and no signing secret; " +
			"the vendor shows that beside the webhook's URL, mostly as whsec_"
	}
	return "", ""
}

// isAPIKey recognises what Stripe, Clerk and others call secret, restricted and
// publishable keys. The last are public.
func isAPIKey(s string) bool {
	return strings.HasPrefix(s, "sk_") || strings.HasPrefix(s, "rk_") || strings.HasPrefix(s, "pk_")
}

// misfit says what is wrong with a secret for a scheme that takes it in one form
// only.
func (s *Scheme) misfit(secret Secret) string {
	if secret.IsZero() {
		return ""
	}
	k := secret.key()
	switch {
	case s.secrets == secretsAsTheyAre && k.decoded:
		return "was decoded by NewWebhookSecret; Stripe uses the text as it is: NewSecret"
	case s.secrets == secretsDecoded && !k.decoded && strings.HasPrefix(string(k.raw), "whsec_"):
		return "is the base64 of the key; Standard Webhooks decodes it: NewWebhookSecret"
	}
	return ""
}

// placeholders are what people leave in sample files. A word of four letters or
// fewer counts at the beginning only.
var placeholders = [...]string{
	"changeme", "change-me", "change_me", "placeholder", "replaceme", "replace-me",
	"replace_me", "your-secret", "your_secret", "yoursecret", "password", "todo",
	"insert-", "insert_", "example",
}

// isPlaceholder catches what is plainly not random: a sample text, a handful
// of distinct bytes, or a keyboard sequence. It is a net for mistakes and no
// measure of entropy, which cannot be measured from one value.
func isPlaceholder(s string) bool {
	lower := strings.ToLower(s)
	for _, word := range placeholders {
		if len(word) > 4 && strings.Contains(lower, word) || strings.HasPrefix(lower, word) {
			return true
		}
	}
	var seen [256]bool
	distinct, steps := 0, 0
	for i := range len(s) {
		if !seen[s[i]] {
			seen[s[i]] = true
			distinct++
		}
		if i > 0 && s[i] == s[i-1]+1 {
			steps++
		}
	}
	return distinct < minDistinct || steps*4 >= len(s)*3
}
