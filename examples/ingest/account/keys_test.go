package account_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/account"
	"github.com/opsmantik/sallyport/examples/ingest/account/keytest"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
	"github.com/opsmantik/sallyport/examples/ingest/store"
)

func TestASecurityKeyStepsUpToTheHighestLevel(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		key := r.registered("u")
		cookie := r.start("u", 1)
		options := r.ask("/auth/key/options", cookie)
		require.Contains(t, options, `"userVerification":"required"`)
		got := r.assert(key.Get(t, options), cookie)
		require.Equal(t, http.StatusOK, got.Status, got.Body)
		require.NotEmpty(t, got.Cookie)
		require.NotEqual(t, cookie, got.Cookie, "a step up has a new token")
		require.Equal(t, "AAL3", r.level(got.Cookie))
		require.Equal(t, []string{"account.security_key_added success", "account.second_factor success"}, r.records)
		require.Contains(t, r.events, "security_key_added")

		// A key that does not count.
		key.Counter, key.Step = 0, 0
		silent := keytest.New(t, origin)
		silent.Step = 0
		require.Equal(t, http.StatusCreated, r.add(silent, got.Cookie).Status)
		for range 2 {
			got = r.assert(silent.Get(t, r.ask("/auth/key/options", got.Cookie)), got.Cookie)
			require.Equal(t, http.StatusOK, got.Status, got.Body)
		}
	})
}

// Everything that may be wrong with a signature. The refusals are alike.
func TestASignatureIsRefused(t *testing.T) {
	forge := func(change func(*keytest.Key)) func(*testing.T, *rig, *keytest.Key, string) answer {
		return func(t *testing.T, r *rig, key *keytest.Key, cookie string) answer {
			options := r.ask("/auth/key/options", cookie)
			change(key)
			return r.assert(key.Get(t, options), cookie)
		}
	}
	for name, give := range map[string]func(*testing.T, *rig, *keytest.Key, string) answer{
		"of another page":           forge(func(k *keytest.Key) { k.Origin = "https://evil.example" }),
		"of a page beside this one": forge(func(k *keytest.Key) { k.Origin = "https://www.example.org" }),
		"of the page without TLS":   forge(func(k *keytest.Key) { k.Origin = "http://ingest.example.org" }),
		"of another port":           forge(func(k *keytest.Key) { k.Origin += ":8443" }),
		"for another server":        forge(func(k *keytest.Key) { k.RPID = "example.org" }),
		"without PIN or finger":     forge(func(k *keytest.Key) { k.Flags = keytest.UserPresent }),
		"without a touch":           forge(func(k *keytest.Key) { k.Flags = keytest.UserVerified }),
		"of a key that can be copied": forge(func(k *keytest.Key) {
			k.Flags |= keytest.BackupEligible
		}),
		"of a key that was copied": forge(func(k *keytest.Key) {
			k.Flags |= keytest.BackupEligible | keytest.BackupState
		}),
		"of a copy without leave":       forge(func(k *keytest.Key) { k.Flags |= keytest.BackupState }),
		"with the last counter again":   forge(func(k *keytest.Key) { k.Step = 0 }),
		"with a counter that goes back": forge(func(k *keytest.Key) { k.Counter = 0; k.Step = 0 }),
		"under another name":            forge(func(k *keytest.Key) { k.ID = []byte("nobody's credential") }),
		"that registers":                forge(func(k *keytest.Key) { k.Type = "webauthn.create" }),
		"of a payment":                  forge(func(k *keytest.Key) { k.Type = "payment.get" }),
		"without a challenge": func(t *testing.T, r *rig, key *keytest.Key, cookie string) answer {
			return r.assert(key.Get(t, `{"publicKey":{"challenge":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}}`), cookie)
		},
		"over nothing": func(t *testing.T, r *rig, _ *keytest.Key, cookie string) answer {
			r.ask("/auth/key/options", cookie)
			return r.assert(`{}`, cookie)
		},
		"over an old challenge": func(t *testing.T, r *rig, key *keytest.Key, cookie string) answer {
			options := r.ask("/auth/key/options", cookie)
			r.wait(5 * time.Minute)
			return r.assert(key.Get(t, options), cookie)
		},
		"over one that was replaced": func(t *testing.T, r *rig, key *keytest.Key, cookie string) answer {
			options := r.ask("/auth/key/options", cookie)
			r.ask("/auth/key/options", cookie)
			return r.assert(key.Get(t, options), cookie)
		},
		"after one that failed": func(t *testing.T, r *rig, key *keytest.Key, cookie string) answer {
			options := r.ask("/auth/key/options", cookie)
			require.Equal(t, http.StatusUnauthorized, r.assert(`{}`, cookie).Status)
			return r.assert(key.Get(t, options), cookie)
		},
		"over a registration's challenge": func(t *testing.T, r *rig, key *keytest.Key, cookie string) answer {
			got := r.assert(key.Get(t, r.ask("/auth/key/options", cookie)), cookie)
			require.Equal(t, http.StatusOK, got.Status)
			return r.assert(key.Get(t, r.ask("/auth/key/new", got.Cookie)), got.Cookie)
		},
		"for another session": func(t *testing.T, r *rig, key *keytest.Key, cookie string) answer {
			options := r.ask("/auth/key/options", r.start("u", 1))
			r.ask("/auth/key/options", cookie)
			return r.assert(key.Get(t, options), cookie)
		},
		"of another user": func(t *testing.T, r *rig, _ *keytest.Key, cookie string) answer {
			return r.assert(r.registered("v").Get(t, r.ask("/auth/key/options", cookie)), cookie)
		},
		"of a key that is gone": func(t *testing.T, r *rig, key *keytest.Key, cookie string) answer {
			other := keytest.New(t, origin)
			got := r.assert(key.Get(t, r.ask("/auth/key/options", cookie)), cookie)
			require.Equal(t, http.StatusCreated, r.add(other, got.Cookie).Status)
			cookie = r.start("u", 1)
			options := r.ask("/auth/key/options", cookie)
			removed, err := r.keys.RemoveKey(t.Context(), "u", account.KeyID(key.ID))
			require.NoError(t, err)
			require.True(t, removed)
			return r.assert(key.Get(t, options), cookie)
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, r *rig) {
				key := r.registered("u")
				cookie := r.start("u", 1)
				got := give(t, r, key, cookie)
				require.Equal(t, http.StatusUnauthorized, got.Status, got.Body)
				require.Equal(t, reply.CodeSecurityKeyInvalid, got.code(t))
				require.Empty(t, got.Cookie)
				require.Contains(t, r.events, reply.CodeSecurityKeyInvalid)
				repeated := slices.Contains(r.records, "account.security_key_repeated denied")
				require.Equal(t, strings.Contains(name, "counter"), repeated, "%v", r.records)
			})
		})
	}
}

// A replayed answer is worth nothing, be it at once or from another place: of many
// that come together one is let in.
//
// Neither the counter of the key nor the challenge needs the other for that: the
// first key does not count, and the second challenge is given twice.
func TestASignatureCountsOnce(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		key := keytest.New(t, origin)
		key.Step = 0
		require.Equal(t, http.StatusCreated, r.add(key, r.start("u", 2)).Status)
		cookie := r.start("u", 1)
		credential := key.Get(t, r.ask("/auth/key/options", cookie))
		var in, out atomic.Int32
		var renewed atomic.Value
		var all sync.WaitGroup
		for range 4 { // more wrong ones would end the session
			all.Go(func() {
				switch got := r.assert(credential, cookie); got.Status {
				case http.StatusOK:
					in.Add(1)
					renewed.Store(got.Cookie)
				case http.StatusUnauthorized:
					out.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, in.Load())
		require.EqualValues(t, 3, out.Load())
		require.Equal(t, "AAL3", r.level(renewed.Load().(string)))

		// The same in the session that it has opened, and in a new one.
		for _, cookie := range []string{renewed.Load().(string), r.start("u", 1)} {
			r.ask("/auth/key/options", cookie)
			require.Equal(t, http.StatusUnauthorized, r.assert(credential, cookie).Status)
		}
	})
}

// Whoever has somebody's password, and one of their codes, adds no key to an account
// that has one, and takes none away.
func TestKeysAreChangedWithAKey(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		for level, code := range map[int]string{
			1: reply.CodeSecondFactorRequired,
		} {
			got := r.do(http.MethodPost, "/auth/key/new", "", r.start("u", level))
			require.Equal(t, http.StatusUnauthorized, got.Status)
			require.Equal(t, code, got.code(t))
		}
		early := r.start("u", 2)
		options := r.ask("/auth/key/new", early)
		key := r.registered("u")
		for _, path := range []string{"POST /auth/key/new", "DELETE /auth/keys/x"} {
			method, path, _ := strings.Cut(path, " ")
			got := r.do(method, path, "", r.start("u", 2))
			require.Equal(t, http.StatusUnauthorized, got.Status, path)
			require.Equal(t, reply.CodeSecurityKeyRequired, got.code(t))
		}
		got := r.do(http.MethodPost, "/auth/keys", `{"credential":`+keytest.New(t, origin).Create(t, options)+`}`, early)
		require.Equal(t, http.StatusUnauthorized, got.Status, "begun before there was a key")
		require.Equal(t, reply.CodeSecurityKeyRequired, got.code(t))

		cookie := r.start("u", 2)
		got = r.assert(key.Get(t, r.ask("/auth/key/options", cookie)), cookie)
		require.Equal(t, http.StatusOK, got.Status, got.Body)
		cookie = got.Cookie
		r.wait(10 * time.Minute)
		second := keytest.New(t, origin)
		got = r.add(second, cookie)
		require.Equal(t, http.StatusCreated, got.Status, "ten minutes are enough: %s", got.Body)
		r.wait(time.Second)
		got = r.do(http.MethodPost, "/auth/key/new", "", cookie)
		require.Equal(t, reply.CodeSecurityKeyRequired, got.code(t), "and no more")

		got = r.assert(second.Get(t, r.ask("/auth/key/options", cookie)), cookie)
		require.Equal(t, http.StatusOK, got.Status, got.Body)
		cookie = got.Cookie
		got = r.do(http.MethodDelete, "/auth/keys/"+account.KeyID(r.registered("v").ID), "", cookie)
		require.Equal(t, http.StatusNotFound, got.Status, "another user's")
		for _, key := range []*keytest.Key{key, second} {
			got = r.do(http.MethodDelete, "/auth/keys/"+account.KeyID(key.ID), "", cookie)
			require.Equal(t, http.StatusOK, got.Status, got.Body)
			require.JSONEq(t, `{"ok":true}`, got.Body)
		}
		got = r.do(http.MethodPost, "/auth/key/options", "", cookie)
		require.Equal(t, http.StatusNotFound, got.Status)
		require.Equal(t, reply.CodeSecurityKeyNotFound, got.code(t))
		require.Equal(t, "account.security_key_removed success", r.records[len(r.records)-1])
		require.Equal(t, "security_key_removed", r.events[len(r.events)-1])
	})
}

func TestANewKeyIsRefused(t *testing.T) {
	create := func(change func(*keytest.Key)) func(*testing.T, *rig, string) answer {
		return func(t *testing.T, r *rig, cookie string) answer {
			key := keytest.New(t, origin)
			change(key)
			return r.add(key, cookie)
		}
	}
	for name, row := range map[string]struct {
		give func(*testing.T, *rig, string) answer
		code string
	}{
		"a passkey that can be copied": {
			create(func(k *keytest.Key) { k.Flags |= keytest.BackupEligible }), reply.CodeSecurityKeySynced,
		},
		"a passkey that was copied": {
			create(func(k *keytest.Key) { k.Flags |= keytest.BackupEligible | keytest.BackupState }), reply.CodeSecurityKeySynced,
		},
		"a copy without leave": {
			create(func(k *keytest.Key) { k.Flags |= keytest.BackupState }), reply.CodeSecurityKeyInvalid,
		},
		"without PIN or finger": {
			create(func(k *keytest.Key) { k.Flags = keytest.UserPresent }), reply.CodeSecurityKeyInvalid,
		},
		"without a touch": {
			create(func(k *keytest.Key) { k.Flags = keytest.UserVerified }), reply.CodeSecurityKeyInvalid,
		},
		"of another page": {
			create(func(k *keytest.Key) { k.Origin = "https://evil.example" }), reply.CodeSecurityKeyInvalid,
		},
		"for another server": {
			create(func(k *keytest.Key) { k.RPID = "evil.example" }), reply.CodeSecurityKeyInvalid,
		},
		"with a name too long": {
			create(func(k *keytest.Key) { k.ID = make([]byte, 1024) }), reply.CodeSecurityKeyInvalid,
		},
		"with a signature's type": {
			create(func(k *keytest.Key) { k.Type = "webauthn.get" }), reply.CodeSecurityKeyInvalid,
		},
		"over an old challenge": {func(t *testing.T, r *rig, cookie string) answer {
			options := r.ask("/auth/key/new", cookie)
			r.wait(5 * time.Minute)
			return r.do(http.MethodPost, "/auth/keys", `{"credential":`+keytest.New(t, origin).Create(t, options)+`}`, cookie)
		}, reply.CodeSecurityKeyInvalid},
		"for another session": {func(t *testing.T, r *rig, cookie string) answer {
			options := r.ask("/auth/key/new", r.start("u", 2))
			return r.do(http.MethodPost, "/auth/keys", `{"credential":`+keytest.New(t, origin).Create(t, options)+`}`, cookie)
		}, reply.CodeSecurityKeyInvalid},
		"another user's": {func(t *testing.T, r *rig, cookie string) answer {
			return r.add(r.registered("v"), cookie)
		}, reply.CodeSecurityKeyExists},
		"of another shape": {func(_ *testing.T, r *rig, cookie string) answer {
			return r.do(http.MethodPost, "/auth/keys", `{"credential":{},"more":1}`, cookie)
		}, "wrong_shape"},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, r *rig) {
				got := row.give(t, r, r.start("u", 2))
				require.GreaterOrEqual(t, got.Status, 400)
				require.Equal(t, row.code, got.code(t))
				list, err := r.keys.Keys(t.Context(), "u")
				require.NoError(t, err)
				require.Empty(t, list)
			})
		})
	}
}

func TestAUserHasSoManyKeys(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		key := r.registered("u")
		cookie := r.start("u", 2)
		got := r.assert(key.Get(t, r.ask("/auth/key/options", cookie)), cookie)
		cookie = got.Cookie
		for range 7 {
			require.Equal(t, http.StatusCreated, r.add(keytest.New(t, origin), cookie).Status)
		}
		got = r.do(http.MethodPost, "/auth/key/new", "", cookie)
		require.Equal(t, http.StatusConflict, got.Status)
		require.Equal(t, reply.CodeSecurityKeysFull, got.code(t))
		got = r.do(http.MethodGet, "/auth/keys", "", cookie)
		require.Equal(t, 8, strings.Count(got.Body, `"name":"blue"`), got.Body)
		require.Equal(t, 1, strings.Count(got.Body, `"used_at"`), got.Body)
	})
}

// Wrong answers slow down whoever gives them, and are told to the owner.
func TestWrongSignaturesAreCounted(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		key := r.registered("u")
		cookie := r.start("u", 1)
		for range 8 {
			require.GreaterOrEqual(t, r.assert(`{}`, cookie).Status, 400)
		}
		got := r.do(http.MethodPost, "/auth/key/options", "", cookie)
		require.Equal(t, http.StatusUnauthorized, got.Status, "the session has ended")
		require.Equal(t, http.StatusTooManyRequests, r.assert(`{}`, r.start("u", 1)).Status)
		require.Contains(t, r.records, "account.second_factor_paused denied")
		r.wait(time.Hour)
		cookie = r.start("u", 1)
		got = r.assert(key.Get(t, r.ask("/auth/key/options", cookie)), cookie)
		require.Equal(t, http.StatusOK, got.Status, got.Body)
		require.Contains(t, got.Body, `"failed_second_factors":`)
	})
}

// Browsers give keys to names, and to localhost, and to no address.
func TestSecurityKeysNeedAName(t *testing.T) {
	t.Parallel()
	for origin, want := range map[string]string{
		"https://ingest.example.org": "ingest.example.org", "http://localhost:8080": "localhost",
		"http://127.0.0.1:8080": "", "https://[2001:db8::1]": "", "https://": "", "": "", "http://a b": "",
	} {
		require.Equal(t, want, account.RPID(origin), origin)
	}
	r := newRig(t, "http://127.0.0.1:8080")
	for _, path := range []string{"/auth/key/options", "/auth/key/new"} {
		got := r.do(http.MethodPost, path, "", r.start("u", 2))
		require.Equal(t, http.StatusNotFound, got.Status)
		require.Equal(t, reply.CodeSecurityKeysOff, got.code(t))
	}
}

// Browsers are told whose key it is, which keys there are, and nothing else of the user.
func TestOptionsSayWhoseKeyItIs(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		var told struct {
			PublicKey struct {
				RP   struct{ ID, Name string }
				User struct{ ID, Name, DisplayName string }
				RPID string `json:"rpId"`

				Attestation            string
				AuthenticatorSelection map[string]any
				PubKeyCredParams       []struct{ Alg int }
				ExcludeCredentials     []struct{ ID string }
				AllowCredentials       []struct{ ID string }
				Timeout                int
			}
		}
		key := r.registered("u")
		id := base64.RawURLEncoding.EncodeToString(key.ID)
		require.NoError(t, json.Unmarshal([]byte(r.ask("/auth/key/new", r.start("u", 3))), &told))
		made := told.PublicKey
		require.Equal(t, "ingest.example.org", made.RP.ID)
		require.Equal(t, "u@example.test", made.User.Name)
		require.Equal(t, "u@example.test", made.User.DisplayName)
		require.Len(t, made.User.ID, 43, "a digest")
		require.Equal(t, "none", made.Attestation)
		require.Equal(t, map[string]any{
			"authenticatorAttachment": "cross-platform", "requireResidentKey": false,
			"residentKey": "discouraged", "userVerification": "required",
		}, made.AuthenticatorSelection)
		require.Equal(t, []struct{ Alg int }{{-7}, {-8}, {-257}}, made.PubKeyCredParams)
		require.Equal(t, []struct{ ID string }{{id}}, made.ExcludeCredentials)
		require.Equal(t, 300_000, made.Timeout)

		require.NoError(t, json.Unmarshal([]byte(r.ask("/auth/key/options", r.start("u", 1))), &told))
		require.Equal(t, "ingest.example.org", told.PublicKey.RPID)
		require.Equal(t, []struct{ ID string }{{id}}, told.PublicKey.AllowCredentials)
	})
}

// A server may have several origins: keys work at those of its first name.
func TestOneNameOfSeveral(t *testing.T) {
	t.Parallel()
	r := newRig(t, "http://127.0.0.1:8080", "http://localhost:8080", "http://localhost:8081", "https://other.example")
	for origin, want := range map[string]int{
		"http://localhost:8080": 201, "http://localhost:8081": 201, "http://127.0.0.1:8080": 401,
		"https://other.example": 401, "http://localhost": 401,
	} {
		key := keytest.New(t, origin)
		key.RPID = "localhost"
		require.Equal(t, want, r.add(key, r.start("u", 3)).Status, origin)
	}
}

// A name is shown on pages and in terminals.
func TestNamesOfKeysCanBeShown(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"": "Security key", " \t\n": "Security key", "blue\x1b[31m\u202e one ": "blue[31m one",
		"schlüssel": "schlüssel", strings.Repeat("é", 100): strings.Repeat("é", 64),
	} {
		require.Equal(t, want, account.KeyName(given))
	}
}

// Whoever has lost all keys gets in again through the operator: keys from before the
// loss no longer count, and the next one is a first one.
func TestLostKeysNoLongerCount(t *testing.T) {
	run(t, func(t *testing.T, r *rig) {
		old := keytest.New(t, origin)
		raw := store.SecurityKey{
			ID: account.KeyID(old.ID), User: "u", Name: "lost", Credential: old.ID, PublicKey: []byte{1},
			Created: keysAfter.Add(-time.Microsecond),
		}
		require.NoError(t, r.keys.AddKey(t.Context(), raw, 0))
		cookie := r.start("u", 2)
		require.NotContains(t, r.do(http.MethodGet, "/auth/keys", "", cookie).Body, "lost")
		got := r.do(http.MethodPost, "/auth/key/options", "", cookie)
		require.Equal(t, reply.CodeSecurityKeyNotFound, got.code(t))

		key := keytest.New(t, origin)
		require.Equal(t, http.StatusCreated, r.add(key, cookie).Status)
		list, err := r.keys.Keys(t.Context(), "u")
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, key.ID, list[0].Credential)
		require.Equal(t, []string{
			"account.security_key_removed success", "account.security_key_added success",
		}, r.records)
	})
}
