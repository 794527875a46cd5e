package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"
)

// code gives a second factor in the session of cookie.
func (r *rig) code(cookie, code string) answer {
	r.t.Helper()
	return r.do(http.MethodPost, "/auth/totp", `{"code":"`+code+`"}`, "Cookie", cookie)
}

func now(t *testing.T) string {
	t.Helper()
	code, err := totp.GenerateCode(totpSecret, time.Now())
	require.NoError(t, err)
	return code
}

func TestRecoveryCodesStandInForTheSecondFactor(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	cookie := r.login("enrolled", true)
	require.Equal(t, 401, r.do(http.MethodPost, "/auth/recovery", "", "Cookie", r.login("enrolled", false)).Status)
	got := r.do(http.MethodPost, "/auth/recovery", "", "Cookie", cookie)
	require.Equal(t, 200, got.Status, got.Body)
	var made struct {
		Codes []string `json:"recovery_codes"`
	}
	require.NoError(t, json.Unmarshal([]byte(got.Body), &made))
	require.Len(t, made.Codes, 10)

	first := r.login("enrolled", false)
	got = r.code(first, strings.ToLower(strings.ReplaceAll(made.Codes[0], "-", " ")))
	require.Equal(t, 200, got.Status, got.Body)
	require.Equal(t, 200, r.do(http.MethodGet, "/auth/sessions", "", "Cookie", got.cookie(t)).Status)
	require.Equal(t, 401, r.code(r.login("enrolled", false), made.Codes[0]).Status, "each works once")
	require.Equal(t, 401, r.code(r.login("admin", false), made.Codes[1]).Status, "and for its user")
	require.Equal(t, []string{"account.sign_in", "account.second_factor"},
		r.list(t.Context(), `SELECT json_extract(CAST(entry AS TEXT), '$.action') FROM audit_log ORDER BY seq LIMIT 2`))
	for _, column := range []string{"digest", "user_id"} {
		for _, row := range r.list(t.Context(), `SELECT `+column+` FROM recovery_codes`) {
			require.NotContains(t, row, made.Codes[2])
		}
	}
}

// The owner learns of tries that were not theirs.
func TestTheOwnerIsToldOfWrongSecondFactors(t *testing.T) {
	t.Parallel()
	r := run(t, configured(t))
	require.NotContains(t, r.code(r.login("admin", false), now(t)).Body, "failed")
	for range 2 {
		require.Equal(t, 401, r.code(r.login("enrolled", false), "000000").Status)
	}
	got := r.code(r.login("enrolled", false), now(t))
	require.Equal(t, 200, got.Status, got.Body)
	require.Contains(t, got.Body, `"failed_second_factors":2`)
	require.Contains(t, got.Body, `"last_failed_at":"`)
}
