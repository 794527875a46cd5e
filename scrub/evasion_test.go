package scrub_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/scrub"
)

// The evasion matrix: spellings that readers see through and simple patterns
// do not, each in eight surroundings. Frozen before tuning (evasionHash).

func evasions() []struct{ name, value string } {
	pan := "4929718123456789"
	wide := func(s string) string {
		var b strings.Builder
		for _, r := range s {
			if r > ' ' && r < 0x7f {
				r += 0xFEE0
			}
			b.WriteRune(r)
		}
		return b.String()
	}
	join := func(s, sep string) string { return strings.Join(strings.Split(s, ""), sep) }
	groups := func(sep string) string {
		return strings.Join([]string{pan[:4], pan[4:8], pan[8:12], pan[12:]}, sep)
	}
	shift := func(zero rune) string {
		var b strings.Builder
		for _, r := range pan {
			b.WriteRune(zero + r - '0')
		}
		return b.String()
	}
	jwt := b64url(`{"alg":"HS256"}`) + "." + b64url(`{"sub":"17","name":"ann"}`) + "." + "c2lnbmF0dXJlLXNpZ25hdHVyZQ"
	return []struct{ name, value string }{
		{"card plain", pan},
		{"card spaces", groups(" ")},
		{"card dashes", groups("-")},
		{"card dots", groups(".")},
		{"card nbsp", groups("\u00a0")},
		{"card thin space", groups("\u2009")},
		{"card en dash", groups("\u2013")},
		{"card percent space", groups("%20")},
		{"card plus", groups("+")},
		{"card escaped nbsp", groups(`\u00a0`)},
		{"card single digits", join(pan, " ")},
		{"card zero width", join(pan, "\u200b")},
		{"card full width", wide(pan)},
		{"card arabic", shift('\u0660')},
		{"card devanagari", shift('\u0966')},
		{"card underscore", groups("_")},
		{"card double space", groups("  ")},
		{"email plain", "anna.smith@example.com"},
		{"email percent", "anna.smith%40example.com"},
		{"email double percent", "anna.smith%2540example.com"},
		{"email escape", `anna.smith\u0040example.com`},
		{"email double escape", `anna.smith\\u0040example.com`},
		{"email entity", "anna.smith&#64;example.com"},
		{"email hex entity", "anna.smith&#x40;example.com"},
		{"email full width at", "anna.smith＠example.com"},
		{"email full width", wide("anna.smith@example.com")},
		{"email zero width", "anna.smith\u200b@\u200bexample.com"},
		{"email percent dot", "anna%2Esmith%40example%2Ecom"},
		{"email upper", "ANNA.SMITH@EXAMPLE.COM"},
		{"email plus", "anna.smith+tag@example.com"},
		{"email idn", "anna.smith@bücher-example.de"},
		{"email quoted", `"anna smith"@example.com`},
		{"jwt", jwt},
		{"jwt percent dots", strings.ReplaceAll(jwt, ".", "%2E")},
		{"bearer", "Bearer Zx81kQp0Lm27Rt55Yw90"},
		{"bearer lower", "bearer Zx81kQp0Lm27Rt55Yw90"},
		{"bearer percent", "Bearer%20Zx81kQp0Lm27Rt55Yw90"},
		{"basic", "Basic YW5uYTpzM2NyM3QtcGFzcw=="},
		{"github", "gh" + "p_Zx81kQp0Lm27Rt55Yw90Zx81kQp0Lm27Rt55"},
		{"userinfo", "https://anna:s3cr3tpw@host.test/"},
	}
}

func embeddings() []struct {
	name  string
	embed func(string) string
} {
	return []struct {
		name  string
		embed func(string) string
	}{
		{"plain", func(v string) string { return "got " + v + " today" }},
		{"json", func(v string) string { return `{"note":` + quoteJSON(v) + `,"n":1}` }},
		{"json in json", func(v string) string {
			return `{"body":` + quoteJSON(`{"note":`+quoteJSON(v)+`}`) + `}`
		}},
		{"url", func(v string) string { return "https://shop.test/p?x=" + strings.ReplaceAll(v, " ", "+") + "&y=2" }},
		{"glued", func(v string) string { return "note:" + v + ";end" }},
		{"go dump", func(v string) string { return "{ID:17 Note:" + v + " Active:true}" }},
		{"csv", func(v string) string { return "17," + v + ",true" }},
		{"html", func(v string) string { return "<td>" + v + "</td>" }},
	}
}

// quoteJSON quotes as encoding/json does, but leaves existing escapes alone.
func quoteJSON(s string) string {
	if strings.Contains(s, `\`) && !strings.Contains(s, `"`) {
		return `"` + s + `"`
	}
	q := strconv.QuoteToGraphic(s)
	return strings.ReplaceAll(q, "\u200b", "\u200b")
}

// evasionLeaks reports whether a recognisable part of value is left in out.
func evasionLeaks(value, text, out string) bool {
	return survives(sample{text: text, value: value}, out)
}

func evasionHash() string {
	h := sha256.New()
	for _, v := range evasions() {
		for _, e := range embeddings() {
			fmt.Fprintf(h, "%s|%s|%q\n", v.name, e.name, e.embed(v.value))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

const frozenEvasions = "b75ad56245ea4485c5d60855e50318eb3b3e316c06d78922d4436e4a37ae5add"

func TestEvasionMatrix(t *testing.T) {
	t.Parallel()
	require.Equal(t, frozenEvasions, evasionHash(), "the frozen evasion matrix changed")
	s := newScrubber(t, scrub.Config{})
	total, removed := 0, 0
	for _, v := range evasions() {
		for _, e := range embeddings() {
			text := e.embed(v.value)
			inner := embedded(text, e.embed)
			if v.name == "userinfo" {
				inner = "anna:s3cr3tpw"
			}
			for _, scheme := range []string{"Bearer ", "Bearer+", "Bearer%20", "Basic ", "Basic+"} {
				if strings.EqualFold(inner[:min(len(inner), len(scheme))], scheme) {
					inner = inner[len(scheme):] // the name of the scheme may stay
				}
			}
			out, _ := s.String(text)
			total++
			if evasionLeaks(inner, text, out) {
				t.Errorf("%s in %s: %q became %q", v.name, e.name, text, out)
				continue
			}
			removed++
		}
	}
	t.Logf("removed %d of %d", removed, total)
}

// embedded returns the part of text that is not of the embedding.
func embedded(text string, embed func(string) string) string {
	frame := embed("\x01")
	frame = strings.ReplaceAll(frame, `\\x01`, "\x01")
	frame = strings.ReplaceAll(frame, `\x01`, "\x01")
	before, after, _ := strings.Cut(frame, "\x01")
	return strings.TrimSuffix(strings.TrimPrefix(text, before), after)
}
