package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy/apikey"
)

func TestProgramsActWithKeysAlone(t *testing.T) {
	t.Parallel()
	store, err := apikey.NewMemory(apikey.MemoryConfig{})
	require.NoError(t, err)
	handler, keys, err := newHandler(store)
	require.NoError(t, err)
	ada := sallyport.Principal{Kind: sallyport.KindUser, ID: "ada", Level: sallyport.AAL2}
	key, record, err := keys.Issue(t.Context(), ada, "phone", []string{"orders:read"}, 0)
	require.NoError(t, err)
	_, _, err = keys.Issue(t.Context(), ada, "phone", []string{"orders:delete"}, 0)
	require.Error(t, err, "a scope that the person does not have")

	post := func(authorization string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/orders", http.NoBody)
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	require.Equal(t, "orders of ada\n", post("Bearer "+key).Body.String())
	require.Equal(t, 401, post("").Code)
	require.Equal(t, 401, post("Bearer "+key+"x").Code)
	require.NoError(t, keys.Revoke(t.Context(), "ada", record.ID))
	require.Equal(t, 401, post("Bearer "+key).Code)
}
