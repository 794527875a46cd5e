package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
)

// maxEntry is the documented limit of one entry.
const maxEntry = 65535

func record(id string) audit.Record {
	return audit.Record{
		Time:    time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC),
		Actor:   audit.Ref{Kind: "user", ID: "ada"},
		Tenant:  "s1",
		Action:  "calls.seal",
		Target:  audit.Ref{Kind: "call", ID: id},
		Outcome: audit.OutcomeSuccess,
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	full := record("7")
	full.Time = time.Date(2026, 11, 21, 12, 0, 0, 5, time.FixedZone("", 2*3600))
	full.Reason = "a \"dup\\licate\""
	full.Fields = []audit.Field{
		{Name: "to", Value: "sealed", Class: sallyport.Public},
		{Name: "from", Value: "open", Class: sallyport.Internal},
		{Name: "phone", Value: "+49123", Class: sallyport.Confidential},
		{Name: "note", Value: "secret"},
		{Name: "card", Value: "4111", Class: sallyport.Restricted},
		{Name: "odd", Value: "x", Class: 99},
		{Name: "text", Value: "[redacted]", Class: sallyport.Internal},
		{Name: "mail", Value: "q83v", Class: sallyport.Confidential, Handle: "h1"},
	}
	sealed := record("7")
	sealed.Reason, sealed.ReasonHandle = "AA", "h2"
	for name, tt := range map[string]struct {
		record audit.Record
		want   string
	}{
		"full": {full, `{"v":1,"time":"2026-11-21T10:00:00.000000005Z",` +
			`"actor":{"kind":"user","id":"ada"},"tenant":"s1","action":"calls.seal",` +
			`"target":{"kind":"call","id":"7"},"outcome":"success",` +
			`"reason":"a \"dup\\licate\"","fields":{"card":null,"from":"open",` +
			`"mail":{"k":"h1","c":"q83v"},"note":null,"odd":null,"phone":null,` +
			`"text":"[redacted]","to":"sealed"}}`},
		"sealed reason": {sealed, `{"v":1,"time":"2026-11-21T10:00:00Z",` +
			`"actor":{"kind":"user","id":"ada"},"tenant":"s1","action":"calls.seal",` +
			`"target":{"kind":"call","id":"7"},"outcome":"success","reason":{"k":"h2","c":"AA"}}`},
		"least": {audit.Record{
			Time: full.Time, Actor: audit.Ref{Kind: "system", ID: "cron"}, Action: "start",
			Outcome: audit.OutcomeIntent,
		}, `{"v":1,"time":"2026-11-21T10:00:00.000000005Z",` +
			`"actor":{"kind":"system","id":"cron"},"action":"start","outcome":"intent"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entry, err := tt.record.Encode()
			require.NoError(t, err)
			require.Equal(t, tt.want, string(entry))
			back, err := audit.Parse(entry)
			require.NoError(t, err)
			again, err := back.Encode()
			require.NoError(t, err)
			require.Equal(t, entry, again)
		})
	}
}

func TestYears(t *testing.T) {
	t.Parallel()
	for _, year := range []int{1, 9999} {
		r := record("1")
		r.Time = time.Date(year, 12, 31, 0, 0, 0, 0, time.UTC)
		entry, err := r.Encode()
		require.NoError(t, err)
		_, err = audit.Parse(entry)
		require.NoError(t, err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	later, long := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), strings.Repeat("x", 65535)
	with := func(edit func(*audit.Record)) audit.Record {
		r := record("7")
		edit(&r)
		return r
	}
	field := func(names ...string) audit.Record {
		return with(func(r *audit.Record) {
			for _, name := range names {
				r.Fields = append(r.Fields, audit.Field{Name: name, Class: sallyport.Public})
			}
		})
	}
	for name, bad := range map[string]audit.Record{
		"zero":                {},
		"no time":             with(func(r *audit.Record) { r.Time = time.Time{} }),
		"year 0":              with(func(r *audit.Record) { r.Time = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) }),
		"year 10000":          with(func(r *audit.Record) { r.Time = later }),
		"no kind":             with(func(r *audit.Record) { r.Actor.Kind = "" }),
		"no actor":            with(func(r *audit.Record) { r.Actor.ID = "" }),
		"no action":           with(func(r *audit.Record) { r.Action = "" }),
		"no outcome":          with(func(r *audit.Record) { r.Outcome = "" }),
		"odd outcome":         with(func(r *audit.Record) { r.Outcome = "ok" }),
		"field twice":         field("a", "a"),
		"no name":             field(""),
		"bad UTF-8":           field("\xff"),
		"too large":           with(func(r *audit.Record) { r.Reason = long }),
		"handle of no reason": with(func(r *audit.Record) { r.ReasonHandle = "h" }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := bad.Encode()
			require.ErrorIs(t, err, audit.ErrInvalid)
		})
	}
}

// Everything that ends a line, moves a cursor or turns text around, in any viewer.
func TestNoValueCanForgeALine(t *testing.T) {
	t.Parallel()
	evil := "\x00\a\b\t\n\v\f\r\x1b[2J\x7f\u0085\u00a0\u00ad\u200b\u200e\u202e\u2028\u2029\u2066" +
		"\ufeff\U000e0041\U0001d173\xff\xc2"
	r := record(evil)
	r.Actor.ID, r.Actor.Kind, r.Tenant, r.Action, r.Reason = evil, evil, evil, evil, evil
	r.Fields = []audit.Field{{Name: "n\n", Value: evil, Class: sallyport.Public}}
	entry, err := r.Encode()
	require.NoError(t, err)
	for _, c := range string(entry) {
		if unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) {
			t.Fatalf("got %U in the entry", c)
		}
	}
	back, err := audit.Parse(entry)
	require.NoError(t, err)
	require.Equal(t, strings.ToValidUTF8(evil, "\ufffd"), strings.ReplaceAll(back.Reason,
		"\ufffd\ufffd", "\ufffd"), "nothing is lost but invalid bytes")
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	entry, err := record("7").Encode()
	require.NoError(t, err)
	good := string(entry)
	for name, bad := range map[string]string{
		"empty":        "",
		"not JSON":     "{",
		"other JSON":   "[]",
		"unknown":      strings.Replace(good, `"v":1,`, `"v":1,"x":2,`, 1),
		"version 2":    strings.Replace(good, `"v":1`, `"v":2`, 1),
		"repeated":     strings.Replace(good, `"v":1,`, `"v":1,"action":"x",`, 1),
		"spaces":       good + " ",
		"escape":       strings.Replace(good, "ada", `\u0061da`, 1),
		"another zone": strings.Replace(good, "10:00:00Z", "11:00:00+01:00", 1),
		"no outcome":   strings.Replace(good, "success", "", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := audit.Parse([]byte(bad))
			require.ErrorIs(t, err, audit.ErrInvalid)
		})
	}
	_, err = audit.Parse(make([]byte, maxEntry+1))
	require.ErrorIs(t, err, audit.ErrInvalid)
}

// The tree is the one of golang.org/x/mod/sumdb/tlog, at every size.
func TestHeadAgainstTlog(t *testing.T) {
	t.Parallel()
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			hashes[i] = stored[index]
		}
		return hashes, nil
	})
	var head audit.Head
	for n := range int64(300) {
		want, err := tlog.TreeHash(n, reader)
		require.NoError(t, err)
		require.Equal(t, tlog.Tree{N: n, Hash: want}, head.Tree())
		text, err := head.MarshalText()
		require.NoError(t, err)
		var back audit.Head
		require.NoError(t, back.UnmarshalText(text))
		require.Equal(t, head.Tree(), back.Tree())

		entry, err := record(fmt.Sprint(n)).Encode()
		require.NoError(t, err)
		next := head.Next(entry)
		branch := back.Next([]byte("another future"))
		require.NotEqual(t, branch.Tree(), next.Tree(), "heads are values")
		hashes, err := tlog.StoredHashes(n, entry, reader)
		require.NoError(t, err)
		stored = append(stored, hashes...)
		head = next
	}
	require.EqualValues(t, 300, head.Size())
}

func TestHeadTextRefuses(t *testing.T) {
	t.Parallel()
	h := strings.Repeat("0a", 32)
	for _, bad := range []string{
		"", " ", "x", "-1", "00", "0 ", "0 " + h, "1", "1 " + h + " " + h, "2", "1  " + h,
		"1 " + strings.ToUpper(h), "1 " + h[2:], "1 " + h + "0a", "1 zz", "01 " + h, "1 " + h + "\n",
		"3 " + h, "9223372036854775808", "+1 " + h, "1" + strings.Repeat(" "+h, 3),
	} {
		head := audit.Head{}
		require.Error(t, head.UnmarshalText([]byte(bad)), "%q", bad)
		require.Zero(t, head.Size())
	}
	head := audit.Head{}
	require.NoError(t, head.UnmarshalText([]byte("0")))
	require.NoError(t, head.UnmarshalText([]byte("3 "+h+" "+h)))
	require.EqualValues(t, 3, head.Size())
}

func all(entries [][]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, entry := range entries {
			if !yield(entry, nil) {
				return
			}
		}
	}
}

func chain(t testing.TB, n int) ([][]byte, audit.Head) {
	t.Helper()
	var head audit.Head
	entries := make([][]byte, n)
	for i := range entries {
		var err error
		entries[i], err = record(fmt.Sprint(i)).Encode()
		require.NoError(t, err)
		head = head.Next(entries[i])
	}
	return entries, head
}

func TestVerifyFindsEveryChange(t *testing.T) {
	t.Parallel()
	entries, head := chain(t, 9)
	require.NoError(t, audit.Verify(all(entries), head.Tree()))
	lie := head.Tree() // the right root under a wrong size
	lie.N++
	require.ErrorIs(t, audit.Verify(all(entries), lie), audit.ErrTampered)
	require.NoError(t, audit.Verify(all(nil), audit.Head{}.Tree()))
	changed := func(name string, now [][]byte) {
		require.ErrorIs(t, audit.Verify(all(now), head.Tree()), audit.ErrTampered, name)
	}
	for i := range entries {
		changed("truncated", entries[:i])
		changed("deleted", slices.Delete(slices.Clone(entries), i, i+1))
		changed("inserted", slices.Insert(slices.Clone(entries), i, []byte("x")))
		changed("repeated", slices.Insert(slices.Clone(entries), i, entries[i]))
		for j := range i {
			swapped := slices.Clone(entries)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			changed("reordered", swapped)
		}
		for bit := range len(entries[i]) * 8 {
			edited := slices.Clone(entries)
			edited[i] = bytes.Clone(entries[i])
			edited[i][bit/8] ^= 1 << (bit % 8)
			changed("edited", edited)
		}
	}
	joined := append([][]byte{append(bytes.Clone(entries[0]), entries[1]...)}, entries[2:]...)
	changed("joined", joined)
	changed("appended", append(slices.Clone(entries), []byte("x")))

	broken := func(yield func([]byte, error) bool) { yield(nil, errors.New("disk")) }
	require.ErrorContains(t, audit.Verify(broken, head.Tree()), "disk")
}
