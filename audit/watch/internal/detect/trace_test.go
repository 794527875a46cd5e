package detect_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/audit/watch/internal/detect"
	"github.com/opsmantik/sallyport/audit/watch/internal/traffic"
)

type bin struct {
	at    time.Time
	count float64
}

func readTrace(t *testing.T, path string) []bin {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	var all []bin
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		at, count, _ := strings.Cut(lines.Text(), ",")
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			continue
		}
		n, err := strconv.ParseFloat(count, 64)
		require.NoError(t, err)
		all = append(all, bin{when, n})
	}
	require.NoError(t, lines.Err())
	return all
}

// TestPublicTraces runs over the traces in SALLYPORT_TRACES: CSV files with a time and
// a count per bin. They are not part of this repository; docs/benchmarks.md says where
// they are from and what came of each.
func TestPublicTraces(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("SALLYPORT_TRACES")
	if dir == "" {
		t.Skip("SALLYPORT_TRACES is not set")
	}
	files, err := filepath.Glob(dir + "/*.csv")
	require.NoError(t, err)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			all := readTrace(t, file)
			warm, err := strconv.Atoi(os.Getenv("SALLYPORT_WARM_DAYS"))
			if err != nil {
				warm = 14
			}
			quiet(t, all, warm)
			injected(t, all, warm, 3, rises)
			injected(t, all, warm, 10, rises)
			injected(t, all, warm, 10, pages)
		})
	}
}

// play feeds bins, with a gap where they are not in a row.
func play(v *detect.Volume, bins []bin, step time.Duration, last time.Time) time.Time {
	for _, b := range bins {
		if !last.IsZero() && b.at.Sub(last) > 3*step/2 {
			v.Gap()
		}
		v.Step(detect.At(b.at, step), b.count)
		last = b.at
	}
	return last
}

func quiet(t *testing.T, all []bin, warm int) {
	t.Helper()
	step := all[1].at.Sub(all[0].at)
	start := all[0].at.AddDate(0, 0, warm)
	var v detect.Volume
	var last time.Time
	names := [3]string{"page", "notice", "stop"}
	var on [3]bool
	var until [3]time.Time
	var n [3]int
	for i := range all {
		last = play(&v, all[i:i+1], step, last)
		for k, c := range [3]*detect.Cusum{&v.Page, &v.Notice, &v.Stop} {
			if c.Alarm && !on[k] && last.After(start) && last.After(until[k]) {
				n[k]++
				if k == 0 || k == 2 {
					fmt.Printf("%s %s %s x=%.0f m=%.2f h=%.1f phi=%.3f\n", t.Name(), names[k],
						last.Format("2006-01-02 Mon 15:04"), all[i].count, v.Expected, c.H, (v.Spread*v.Spread-v.Expected)/v.Expected/v.Expected)
				}
			}
			if c.Alarm {
				until[k] = last.Add(time.Hour)
			}
			on[k] = c.Alarm
		}
	}
	days := last.Sub(start).Hours() / 24
	t.Logf("%.0f days after %d: per 30 days %.1f pages, %.1f notices, %.1f stops", days, warm,
		float64(n[0])*30/days, float64(n[1])*30/days, float64(n[2])*30/days)
}

// injected multiplies ten minutes at 40 places.
func injected(t *testing.T, all []bin, warm int, factor float64, alarm func(*detect.Volume) bool) {
	t.Helper()
	step := all[1].at.Sub(all[0].at)
	var v detect.Volume
	var last time.Time
	from := 0
	for from < len(all) && all[from].at.Before(all[0].at.AddDate(0, 0, warm)) {
		from++
	}
	last = play(&v, all[:from], step, last)
	r := rand.New(rand.NewPCG(3, 4))
	every := (len(all) - from) / 41
	found, tries := 0, 0
	sum := 0
	for i := range 40 {
		next := from + (i+1)*every - r.IntN(every/2)
		at := from + i*every
		if next <= at {
			continue
		}
		last = play(&v, all[at:next], step, last)
		if alarm(&v) {
			last = play(&v, all[next:from+(i+1)*every], step, last)
			continue
		}
		tries++
		attacked, t0 := v, last
		for k := range max(int(10*time.Minute/step), 1) {
			b := all[next+k]
			local := 0.0 // the mean of the hour before
			hour := max(int(time.Hour/step), 1)
			for _, near := range all[next-hour : next] {
				local += near.count / float64(hour)
			}
			b.count += float64(traffic.Draw(r, local*(factor-1), 0))
			t0 = play(&attacked, []bin{b}, step, t0)
			if alarm(&attacked) {
				found++
				sum += k + 1
				break
			}
		}
		last = play(&v, all[next:from+(i+1)*every], step, last)
	}
	t.Logf("%gx: %d of %d (%.0f%%), on average in %.1f bins", factor, found, tries,
		100*float64(found)/float64(tries), float64(sum)/float64(max(found, 1)))
}
