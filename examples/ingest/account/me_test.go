package account_test

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/account"
	"github.com/opsmantik/sallyport/examples/ingest/account/keytest"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
)

func TestMeSaysWhatIsDue(t *testing.T) {
	for name, row := range map[string]struct {
		user  string
		level int
		keys  int
		want  string
	}{
		"a password is enough": {
			"plain", 1, 0,
			`{"id":"plain","email":"plain@example.test","role":"rep","level":"AAL1","factors":[],"keys_possible":true,"sites":[{"id":"s","name":"Shop"}]}`,
		},
		"no second factor yet": {
			"root", 1, 0,
			`{"email":"root@example.test","level":"AAL1","due":"second_factor","factors":["totp","recovery_code"],"keys_possible":true}`,
		},
		"no key yet": {
			"root", 2, 0,
			`{"id":"root","email":"root@example.test","role":"superadmin","level":"AAL2","due":"security_key","factors":["totp","recovery_code"],"keys_possible":true,"sites":[]}`,
		},
		"a key to use": {
			"root", 1, 1,
			`{"email":"root@example.test","level":"AAL1","due":"second_factor","factors":["totp","recovery_code","security_key"],"keys_possible":true}`,
		},
		"all that there is": {
			"root", 3, 1,
			`{"id":"root","email":"root@example.test","role":"superadmin","level":"AAL3","factors":["totp","recovery_code","security_key"],"keys_possible":true,"sites":[]}`,
		},
		"a factor that is not enrolled": {
			"late", 1, 0,
			`{"email":"late@example.test","level":"AAL1","due":"second_factor","factors":[],"keys_possible":true}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, r *rig) {
				for range row.keys {
					r.registered(row.user)
				}
				got := r.do(http.MethodGet, "/auth/me", "", r.start(row.user, row.level))
				require.Equal(t, http.StatusOK, got.Status)
				require.JSONEq(t, row.want, got.Body)
			})
		})
	}
}

func TestMeIsForWhoIsSignedIn(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		require.Equal(t, http.StatusUnauthorized, r.do(http.MethodGet, "/auth/me", "", "").Status)
		got := r.do(http.MethodGet, "/auth/me", "", r.start("removed", 2))
		require.Equal(t, http.StatusUnauthorized, got.Status)
		require.Equal(t, "session_ended", got.code(t))
		for _, path := range []string{"/auth/key/options", "/auth/key/new"} {
			require.Equal(t, http.StatusUnauthorized, r.do(http.MethodPost, path, "", r.start("removed", 2)).Status)
		}
	})
}

func TestEndOthersEndsTheOthers(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		here, there, elsewhere := r.start("u", 2), r.start("u", 2), r.start("v", 2)
		require.Equal(t, http.StatusUnauthorized, r.do(http.MethodDelete, "/auth/sessions", "", r.start("u", 1)).Status)
		got := r.do(http.MethodDelete, "/auth/sessions", "", here)
		require.JSONEq(t, `{"ok":true,"ended":2}`, got.Body)
		require.Equal(t, http.StatusUnauthorized, r.do(http.MethodGet, "/auth/sessions", "", there).Status)
		for _, cookie := range []string{here, elsewhere} {
			require.Equal(t, http.StatusOK, r.do(http.MethodGet, "/auth/sessions", "", cookie).Status)
		}
	})
}

// What the store or the audit log cannot keep does not happen, and is no fault of
// whoever asked.
func TestKeysWaitForTheStore(t *testing.T) {
	for _, broken := range []string{"Keys", "UseKey", "AddKey", "RemoveKey", "Record"} {
		t.Run(broken, func(t *testing.T) {
			run(t, func(t *testing.T, r *rig) {
				key, other := r.registered("u"), keytest.New(t, origin)
				cookie, pending := r.start("u", 3), r.start("u", 1)
				assertion := key.Get(t, r.ask("/auth/key/options", pending))
				creation := other.Create(t, r.ask("/auth/key/new", cookie))
				r.breaks(broken)
				failed := 0
				for _, got := range []answer{
					r.do(http.MethodGet, "/auth/me", "", cookie),
					r.do(http.MethodGet, "/auth/keys", "", cookie),
					r.assert(assertion, pending),
					r.do(http.MethodPost, "/auth/keys", `{"credential":`+creation+`}`, cookie),
					r.do(http.MethodDelete, "/auth/keys/"+account.KeyID(key.ID), "", cookie),
				} {
					if got.Status == http.StatusServiceUnavailable {
						require.Equal(t, reply.CodeStoreUnavailable, got.code(t))
						failed++
					}
				}
				want := map[string]int{"Keys": 5, "UseKey": 1, "AddKey": 1, "RemoveKey": 1, "Record": 3}[broken]
				require.Equal(t, want, failed, strconv.Quote(broken))
			})
		})
	}
}

// A key is added to the list that its owner has seen, or not at all.
func TestAKeyIsAddedToWhatWasSeen(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		r.breaks("AddKey meanwhile")
		got := r.add(keytest.New(t, origin), r.start("u", 2))
		require.Equal(t, http.StatusConflict, got.Status)
		require.Equal(t, reply.CodeSecurityKeysChanged, got.code(t))
	})
}
