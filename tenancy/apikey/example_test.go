package apikey_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy/apikey"
)

func exampleKeys() (*apikey.Gate, error) {
	store, err := apikey.NewMemory(apikey.MemoryConfig{}) // in production: a database
	if err != nil {
		return nil, err
	}
	return apikey.New(apikey.Config{
		Prefix: "acme", Store: store,
		Permitted: func(_ context.Context, user sallyport.Principal, scope string) (bool, error) {
			return user.ID == "ada" && scope == "calls:view", nil // in production: the role
		},
	})
}

func Example() {
	keys, err := exampleKeys()
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	ada := sallyport.Principal{Kind: sallyport.KindUser, ID: "ada", Level: sallyport.AAL2}
	key, record, err := keys.Issue(ctx, ada, "deploy script", []string{"calls:view"}, 0)
	if err != nil {
		panic(err)
	}
	h := keys.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, _ := apikey.FromContext(r.Context())
		_, _ = fmt.Fprintln(w, who.Kind, who.ID, who.Scopes)
	}))
	use := func() {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+key)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code == http.StatusOK {
			fmt.Print(w.Body)
			return
		}
		fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	}
	use()
	if err := keys.Revoke(ctx, "ada", record.ID); err != nil {
		panic(err)
	}
	use()
	// Output:
	// key ada [calls:view]
	// 401 Bearer error="invalid_token"
}

// A password alone makes no key: a key is never asked for the second factor.
func ExampleGate_Issue_incorrect() {
	keys, err := exampleKeys()
	if err != nil {
		panic(err)
	}
	ada := sallyport.Principal{Kind: sallyport.KindUser, ID: "ada", Level: sallyport.AAL1} // wrong
	_, _, err = keys.Issue(context.Background(), ada, "script", []string{"calls:view"}, 0)
	fmt.Println(err)
	// Output:
	// apikey: api_key_not_issued: apikey: keys are made by a user with two factors
}
