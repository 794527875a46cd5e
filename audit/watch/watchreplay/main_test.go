package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/audit/watch"
)

var start = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

// play replays text and returns what was told.
func play(t *testing.T, text string, args ...string) (told []watch.Alert, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	require.Zero(t, run(append(args, "-"), strings.NewReader(text), &out, &errs), errs.String())
	decoder := json.NewDecoder(&out)
	for {
		var a watch.Alert
		if err := decoder.Decode(&a); errors.Is(err, io.EOF) {
			return told, errs.String()
		} else {
			require.NoError(t, err)
		}
		told = append(told, a)
	}
}

// TestCountsAreReplayed: ten times the traffic after ten days, and a picture of it.
func TestCountsAreReplayed(t *testing.T) {
	t.Parallel()
	for _, width := range []int{1, 5} {
		var text strings.Builder
		text.WriteString("time,count\n")
		for i := 0; i < 10*24*60; i += width {
			n := 20 * width
			if i > 10*24*60-30 {
				n *= 10
			}
			fmt.Fprintf(&text, "%s,%d\n", start.Add(time.Duration(i)*time.Minute).Format(time.RFC3339), n)
		}
		svg := filepath.Join(t.TempDir(), "out.svg")
		told, bar := play(t, text.String(), "-svg", svg)
		require.Len(t, told, 1, "bins of %d minutes", width)
		require.Equal(t, watch.CodeRise, told[0].Code)
		require.WithinDuration(t, start.Add(10*24*time.Hour-30*time.Minute), told[0].Since, 8*time.Minute)
		require.Empty(t, bar, "too little to show")
		picture, err := os.ReadFile(svg)
		require.NoError(t, err)
		require.NoError(t, xml.Unmarshal(picture, new(struct{})))
		require.Contains(t, string(picture), watch.CodeRise)
	}
}

// TestRecordsAreReplayed: the share of failures rises.
func TestRecordsAreReplayed(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 2 * 24 * 60 {
		outcome := "success"
		if i > 2*24*60-30 {
			outcome = "denied"
		}
		at := start.Add(time.Duration(i) * time.Minute).Format(time.RFC3339)
		for range 3 {
			fmt.Fprintf(&text, `{"v":1,"time":%q,"actor":{"kind":"user","id":"u"},"action":"calls.seal","outcome":%q}`+"\n",
				at, outcome)
		}
	}
	told, _ := play(t, text.String(), "-quiet")
	var codes []string
	for _, a := range told {
		codes = append(codes, a.Code)
	}
	require.Contains(t, codes, watch.CodeRatio)
}

func TestBadInputIsNamed(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ text, want string }{
		"empty":     {"", "nothing to replay"},
		"no count":  {"time,count\n2026-01-05T00:00:00Z\n", "line 2"},
		"negative":  {"time,count\n2026-01-05T00:00:00Z,-1\n", "line 2"},
		"unordered": {"2026-01-05T00:02:00Z,1\n2026-01-05T00:01:00Z,1\n", "line 2"},
		"no time":   {`{"code":"x"}`, "line 1"},
	} {
		var errs bytes.Buffer
		require.Equal(t, 1, run([]string{"-"}, strings.NewReader(row.text), io.Discard, &errs), name)
		require.Contains(t, errs.String(), row.want, name)
	}
}
