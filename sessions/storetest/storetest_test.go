package storetest_test

import (
	"os"
	"os/exec"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/sessions"
	"github.com/opsmantik/sallyport/sessions/storetest"
)

// variable names the fault for the child process.
const variable = "SALLYPORT_BROKEN_STORE"

func run(t *testing.T, fault string) {
	t.Helper()
	storetest.Run(t, storetest.Harness{
		Bubble:  synctest.Test,
		Advance: time.Sleep,
		New: func(_ *testing.T, room int) sessions.Store {
			return newNaive(room, fault)
		},
		Held: func(s sessions.Store) int { return s.(*naive).held() },
	})
}

func TestThePlainestStorePasses(t *testing.T) { run(t, "") }

// TestBrokenStore is what the next test runs in a process of its own, because it
// must fail.
func TestBrokenStore(t *testing.T) {
	fault := os.Getenv(variable)
	if fault == "" {
		t.Skip("runs within TestTheSuiteFailsBrokenStores")
	}
	run(t, fault)
}

// pause waits, in the bubble's time, until every other goroutine waits too.
func pause() { time.Sleep(time.Nanosecond) }

func TestTheSuiteFailsBrokenStores(t *testing.T) {
	t.Parallel()
	for fault, clause := range map[string]string{
		"no time to live on a counter": "expired_sessions_leave_nothing",
		"no expiry":                    "expired_sessions_leave_nothing",
		"leaking index":                "ended_sessions_leave_nothing",
		"no cap":                       "a_full_store_refuses",
		"no cap per user":              "one_session_beyond",
		"cap ends the newest":          "one_session_beyond",
		"cap ends one at a time":       "one_session_beyond",
		"End(Everyone) returns 0":      "end_everyone",
		"ignored tag":                  "tag_is_part_of_the_key",
		"expiry late by a resolution":  "idle_limit_is_exact",
		"lifetime ignored":             "absolute_limit_is_exact",
		"lost update":                  "replace_compares_versions",
		"compare apart from replace":   "of_concurrent_replacements",
		"resurrection":                 "unknown_key_is_not_found",
		"uses are written back late":   "uses_and_ends_at_once",
		"uses throttled by minutes":    "every_use_counts",
		"peeking is a use":             "peeking_and_replacing",
		"replacing is a use":           "peeking_and_replacing",
		"create overwrites":            "key_taken_is_a_conflict",
		"label lost":                   "create_and_load",
		"rotation keeps the start":     "rotation_leaves",
		"no grace":                     "rotation_leaves",
		"grace without end":            "rotation_leaves",
		"old key writes":               "rotation_leaves",
		"old key has the new level":    "rotation_leaves",
		"old key outlives the session": "old_key_dies",
		"list shows what is over":      "list_shows_only_live",
		"list shows everybody's":       "list_shows_only_live",
		"anybody ends anybody's":       "end_one,_others,_all",
		"a dead session ends others":   "a_dead_session_ends_no_others",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBrokenStore$")
			cmd.Env = append(os.Environ(), variable+"="+fault)
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "the suite passes it")
			require.Contains(t, string(out), "--- FAIL: TestBrokenStore/"+clause)
		})
	}
}
