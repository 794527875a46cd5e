// Package apikey makes, checks and ends API keys: long random strings with which a
// program acts for a user, within scopes, for 90 days at most.
//
//	issue      a person with two factors ──> key, shown once; the store keeps its SHA-256
//	use        header ──> form (no store) ──> store by hash ──> Principal with scopes
//	rotate     a new key; the old one works on for an overlap
//	revoke     the next use is refused
//	leak       GitHub finds a key in public ──> signed report ──> revoked
//
// # Threat
//
// A key is guessed, or read from a copy of the database; it does more than it was made
// for, or more than its user may; it works after it was revoked, because of a cache or
// because a note of its last use wrote the old row back; it lives for ever; it is made
// with a stolen password to get around the second factor; it is committed to a public
// repository.
//
// # Guarantees
//
//   - A key has 178 random bits. A store sees its SHA-256 only, which is compared in
//     constant time whatever the store's own comparison is.
//   - What is not in the form of a key is refused without the store: every change of a
//     single character, and nearly everything else (a checksum of 32 bits).
//   - A key acts as a sallyport.Principal of KindKey: tenancy gives it what its user's
//     role and its scopes both have, and nothing that needs a step-up.
//   - Keys are made and rotated by a user with two factors, and by no key. Scopes must
//     be the user's own.
//   - A key ends on its last day; Config.MaxAge bounds it from when it was made, so that
//     a shorter MaxAge ends older keys.
//   - Nothing is cached: a key that was revoked is refused from the next use on. Nothing
//     gives a key more time: a Store can end keys earlier and note their use, no more.
//   - A key in a URL is not read; two keys in one request are refused.
//
// # Not guaranteed
//
//   - A stolen key works until it ends. Nothing binds it to an address (see
//     tenancy.Config) or to a client.
//   - Scopes are checked when a key is made and by tenancy at every use. A service that
//     does not use tenancy must look at Principal.Scopes itself.
//   - "Nothing is cached" holds for this package. A Store that reads from a replica
//     lags behind by as much as the replica does.
//   - LastUsed is exact to Config.TouchEvery, and is lost if its write fails; the key is
//     let in all the same, and the event has the error.
//
// # Place among the gates
//
// Where the session is, instead of it: after rate limits, before site access. A route
// for both asks for the key first, and for the session where there is none:
//
//	Identify: func(r *http.Request) (sallyport.Principal, error) {
//		who, err := keys.Check(r)
//		if refused, ok := errors.AsType[*sallyport.Refusal](err); ok &&
//			refused.Code == apikey.CodeRequired {
//			return fromSession(r)
//		}
//		return who, err // 401 and 503 as tenancy understands them
//	},
//
// # Memory
//
// The gate keeps nothing per key. [Memory] holds MaxKeys records of about 300 bytes and
// their scopes. [Gate.Leaks] holds GitHub's public keys and one report of at most 1 MiB.
//
// # Format
//
// GitHub's: a prefix, "_", 30 characters of base62, and 6 more that are their CRC32.
// https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/
//
//	acme_live_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17
//	└─prefix─┘└────────30 × 0-9A-Za-z────────┘└─6─┘
//
// # Example
//
//	keys, err := apikey.New(apikey.Config{
//		Prefix: "acme",
//		Store:  store, // apikey.NewMemory for a start
//		Permitted: func(_ context.Context, user sallyport.Principal, scope string) (bool, error) {
//			return access.Allows(roleOf(user.ID), scope), nil
//		},
//	})
//	...
//	key, record, err := keys.Issue(ctx, person, "deploy script", []string{"calls:view"}, 0)
//	// show key once; record.ID is for lists and logs
//	...
//	mux.Handle("POST /github/leaks", keys.Leaks(fetchGitHubKeys))
package apikey
