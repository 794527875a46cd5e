package apikey_test

import (
	"crypto/sha256"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/tenancy/apikey"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Expired sample tokens that others have published, and so their checksum.
var published = []string{
	"gh" + "p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17",
	"gh" + "p_adE7dp8rHP6gUTuPwxLTZjZdtya3sV0UQzQM",
	"gh" + "p_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA0uCPlr",
}

func TestFormatIsGitHubs(t *testing.T) {
	t.Parallel()
	for _, token := range published {
		require.True(t, apikey.WellFormed("ghp", token), token)
		require.False(t, apikey.WellFormed("gho", token), token)
	}
}

func TestForm(t *testing.T) {
	t.Parallel()
	key := apikey.NewKey("acme_live")
	require.Len(t, key, len("acme_live_")+36)
	for name, tt := range map[string]struct {
		prefix, text string
		want         bool
	}{
		"good":                  {"acme_live", key, true},
		"empty":                 {"acme_live", "", false},
		"the prefix":            {"acme_live", "acme_live_", false},
		"another prefix":        {"acme_test", key, false},
		"a shorter prefix":      {"acme", key, false},
		"the prefix in capital": {"acme_live", strings.ToUpper(key[:4]) + key[4:], false},
		"cut":                   {"acme_live", key[:len(key)-1], false},
		"longer":                {"acme_live", key + "0", false},
		"space before":          {"acme_live", " " + key, false},
		"newline after":         {"acme_live", key + "\n", false},
		"a dash for the line":   {"acme_live", strings.Replace(key, "live_", "live-", 1), false},
	} {
		require.Equal(t, tt.want, apikey.WellFormed(tt.prefix, tt.text), name)
	}
}

// Every change of one character is noticed without the store, and every exchange of
// two neighbours.
func TestTyposAreNoticed(t *testing.T) {
	t.Parallel()
	accepted := 0
	for _, key := range append([]string{apikey.NewKey("ghp"), apikey.NewKey("ghp")}, published...) {
		for i := range key {
			for c := range 256 {
				typo := key[:i] + string([]byte{byte(c)}) + key[i+1:]
				if typo != key && apikey.WellFormed("ghp", typo) {
					accepted++
				}
			}
			if i > 0 {
				typo := []byte(key)
				typo[i-1], typo[i] = typo[i], typo[i-1]
				if string(typo) != key && apikey.WellFormed("ghp", string(typo)) {
					accepted++
				}
			}
			if apikey.WellFormed("ghp", key[:i]+key[i+1:]) {
				accepted++
			}
		}
	}
	require.Zero(t, accepted)
}

// Five million strings of the right alphabet, length and prefix.
func TestRandomStringsAreRefused(t *testing.T) {
	t.Parallel()
	n := 5_000_000
	if testing.Short() {
		n = 100_000
	}
	random := rand.New(rand.NewPCG(2026, 11))
	text := []byte("acme_" + strings.Repeat("0", 36))
	accepted := 0
	for range n {
		for i := len("acme_"); i < len(text); i += 10 {
			for j, bits := i, random.Uint64(); j < min(i+10, len(text)); j++ {
				text[j] = base62[bits%62]
				bits /= 62
			}
		}
		if apikey.WellFormed("acme", string(text)) {
			accepted++
		}
	}
	require.Zero(t, accepted)
}

// No character is likelier than another: a modulo of a byte would favour the first 8.
func TestKeysAreEven(t *testing.T) {
	t.Parallel()
	const n = 20_000
	var counts [256]int
	seen := map[string]bool{}
	for range n {
		key := apikey.NewKey("acme")
		require.False(t, seen[key])
		seen[key] = true
		for _, c := range []byte(key[5:35]) {
			counts[c]++
		}
	}
	expected := float64(n*30) / 62
	chi := 0.0
	for _, c := range []byte(base62) {
		d := float64(counts[c]) - expected
		chi += d * d / expected
	}
	require.Less(t, chi, 140.0, "61 degrees of freedom: beyond 140 once in ten million runs")
}

func TestHash(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"", "acme_x", strings.Repeat("x", 1000)} {
		require.Equal(t, sha256.Sum256([]byte(key)), apikey.Hash(key))
	}
}

func FuzzForm(f *testing.F) {
	for _, token := range published {
		f.Add(token)
	}
	f.Add("ghp_")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if !apikey.WellFormed("ghp", text) {
			return
		}
		if len(text) != 40 || strings.Trim(text[4:], base62) != "" {
			t.Fatalf("accepted %q", text)
		}
	})
}

// Not parallel: AllocsPerRun counts the whole process.
func TestFormAllocatesNothing(t *testing.T) {
	key := apikey.NewKey("acme")
	require.Zero(t, testing.AllocsPerRun(1000, func() {
		if !apikey.WellFormed("acme", key) || apikey.WellFormed("acme", key[1:]) {
			panic("form")
		}
		_ = apikey.Hash(key)
	}))
}
