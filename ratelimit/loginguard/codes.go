package loginguard

import (
	"errors"
	"net/http"

	"github.com/opsmantik/sallyport/internal/refusal"
)

// The codes of this package's decisions.
const (
	// CodeAllowed: the attempt may go on. Allowed.
	CodeAllowed = "login_attempt_allowed"
	// CodeSucceeded: the attempt was reported as a success. Allowed.
	CodeSucceeded = "login_attempt_succeeded"
	// CodeFailed: the attempt was reported as a failure, and counted.
	CodeFailed = "login_attempt_failed"
	// CodeBanned: the same, and this failure has started a ban. There is one such
	// event per ban.
	CodeBanned = "login_ban_started"
	// CodeBlocked: too many failures from here. 429.
	CodeBlocked = "login_blocked"
	// CodeAccountSlowed: too many failures on this account, from all over, for an
	// unknown device to try right now. 429.
	CodeAccountSlowed = "login_account_slowed"
	// CodeFactorPaused: too many second factors of this account were wrong. 429.
	CodeFactorPaused = "second_factor_paused"
	// CodeCrowded: too many attempts from here, or on this account, are under way.
	// Nobody did anything wrong. 503.
	CodeCrowded = "login_crowded"
	// CodeNoAddress: the login has no client address. 400.
	CodeNoAddress = "login_address_unknown"
	// CodeUnavailable: the store cannot answer, and OnOutage is Closed. 503.
	CodeUnavailable = "loginguard_unavailable"
	// CodeNotConfigured: the zero value was used. 503.
	CodeNotConfigured = "loginguard_not_configured"
)

const gate = "loginguard"

var kinds = []refusal.Kind{
	{Code: CodeBlocked, Status: http.StatusTooManyRequests, Title: "Too many attempts"},
	{
		Code: CodeAccountSlowed, Status: http.StatusTooManyRequests,
		Title: "Too many attempts on this account",
	},
	{
		Code: CodeFactorPaused, Status: http.StatusTooManyRequests,
		Title: "Too many wrong second factors",
	},
	{Code: CodeCrowded, Status: http.StatusServiceUnavailable, Title: "Too many attempts at once"},
	{Code: CodeNoAddress, Status: http.StatusBadRequest, Title: "The client could not be identified"},
	{
		Code: CodeUnavailable, Status: http.StatusServiceUnavailable,
		Title: "Signing in is temporarily unavailable",
	},
	{
		Code: CodeNotConfigured, Status: http.StatusServiceUnavailable,
		Title: "Signing in is not configured",
	},
}

var unnamed = refusal.NewTable(gate, "", kinds...)

var errNotConfigured = errors.New("loginguard: zero value used; call New")
