package redissession_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/internal/loopback"
	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/redissession"
	"github.com/opsmantik/sallyport/sessions/storetest"
)

// faults are changes of the scripts, each of which a clause of the suite must fail: the
// tests of the Go code cannot see what a script leaves out.
var faults = map[string][2]string{
	"no expiry on what refers to sessions": {"redis.call('PEXPIRE', KEYS[i], keep)", "redis.call('PTTL', KEYS[i])"},
	"epochs do not count":                  {"epoch ~= (tonumber(got[2] or 0))", "false"},
	"idle limit a second late":             {"now - seen >= idle or", "now - seen >= idle + 1000000 or"},
	"lifetime does not count":              {"now - started >= life", "false"},
	"taken keys are overwritten":           {"redis.call('EXISTS', KEYS[1]) == 1", "false"},
	"versions are not compared":            {"version ~= tonumber(ARGV[4])", "false"},
	"replaced keys write":                  {"if kind ~= 1 or epoch", "if kind > 2 or epoch"},
	"replaced keys outlive the session":    {"redis.call('GETRANGE', key, 0, 0) ~= '\\1'", "false"},
	"grace without end":                    {"now - at >= tonumber(ARGV[2])", "false"},
	"no cap per user":                      {"if #live >= limit then", "if false then"},
	"the newest of a user ends":            {"return a[1] < b[1]", "return a[1] > b[1]"},
	"no cap":                               {">= tonumber(ARGV[5])", ">= 1000000"},
	"uses are not written":                 {"if ARGV[1] ~= '' and", "if false and"},
	"peeks are written":                    {"if ARGV[1] ~= '' and now - seen >= tonumber(ARGV[1])", "if now - seen >= 0"},
	"rotation keeps the start":             {"seen, started = now, now", "seen, started = seen, started"},
	"the old key is forgotten at once":     {"if kind == 2 then", "if kind == 2 then return false end if kind == 2 then"},
	"the index leaks":                      {"redis.call('HDEL', KEYS[3], entry[1])", "redis.call('HLEN', KEYS[3])"},
	"a dead session ends others":           {"if not found then return 'NONE' end", ""},
	"all end instead of one":               {"(only == '' or entry[1] == only)", "(only ~= 1)"},
	"everybody is nobody":                  {"return alive", "return 0"},
	"everybody lives on":                   {"redis.call('INCR', KEYS[1])", ""},
	"expired ones are listed":              {"kind ~= 1 or epoch ~= epoch_now or now - seen >= idle or now - started >= life", "kind ~= 1"},
	"replacing is a use":                   {"struct.pack('>Bdddddd', 1, seen, started,", "struct.pack('>Bdddddd', 1, now, started,"},
}

const variable = "SALLYPORT_BROKEN_SCRIPT"

// TestBrokenScript is what the next test runs in a process of its own, because it must
// fail.
func TestBrokenScript(t *testing.T) {
	fault, ok := faults[os.Getenv(variable)]
	if !ok {
		t.Skip("runs within TestTheSuiteFailsBrokenScripts")
	}
	c := newClient(t, loopback.Redis(t))
	storetest.Run(t, storetest.Harness{
		Resolution: 100 * time.Millisecond,
		Advance:    func(d time.Duration) { pass(t, c, d) },
		New: func(t *testing.T, room int) sessions.Store {
			require.NoError(t, c.FlushAll(t.Context()).Err())
			s, changed, err := redissession.NewBroken(redissession.Config{
				Client: c, MaxSessions: room, Shards: 1, Resolution: time.Nanosecond,
			}, fault[0], fault[1])
			require.NoError(t, err)
			if changed == 0 {
				panic("no script has the text: " + fault[0])
			}
			return s
		},
		Held: func(sessions.Store) int {
			keys, err := c.Keys(context.Background(), "{*").Result()
			require.NoError(t, err)
			return len(keys)
		},
	})
}

func TestTheSuiteFailsBrokenScripts(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts a server for each")
	}
	for fault := range faults {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBrokenScript$")
			cmd.Env = append(os.Environ(), variable+"="+fault)
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "the suite passes it")
			require.Contains(t, string(out), "--- FAIL: TestBrokenScript/", string(out))
			require.False(t, strings.Contains(string(out), "panic:"), string(out))
		})
	}
}
