package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"net/http"
	"strings"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/ingest/reply"
)

const (
	recoveryCodes = 10
	// A recovery code is 80 random bits in base32, in four groups of four.
	recoveryLength = 16
)

// freshness is how recent the factors must be for what outlasts the session (ASVS
// 7.5.1): whoever has stolen a session must not make codes of it.
const freshness = 10 * time.Minute

// Recovery answers POST /auth/recovery: new recovery codes for whoever has given
// every factor just now. They are shown once; the old ones stop working.
func (a *Accounts) Recovery(w http.ResponseWriter, r *http.Request) {
	current, ok := a.complete(w, r)
	if !ok {
		return
	}
	if !fresh(w, current.Info, sallyport.AAL2) {
		return
	}
	codes, digests := make([]string, recoveryCodes), make([][]byte, recoveryCodes)
	for i := range codes {
		codes[i] = newRecoveryCode()
		digests[i] = digest(current.User, codes[i])
	}
	err := a.record(r, current.User, "account.recovery_codes_made", audit.OutcomeSuccess)
	if err == nil {
		err = a.Factors.ReplaceRecovery(context.WithoutCancel(r.Context()), current.User, digests)
	}
	if err != nil {
		a.notRecorded(w, r, err)
		return
	}
	reply.JSON(w, http.StatusOK, map[string]any{"recovery_codes": codes})
}

// spendRecovery uses up a recovery code.
func (a *Accounts) spendRecovery(r *http.Request, user User, code string) (bool, error) {
	ctx := context.WithoutCancel(r.Context())
	spent, err := a.Factors.SpendRecovery(ctx, user.ID, digest(user.ID, code))
	if err != nil || !spent {
		return false, err
	}
	return true, a.record(r, user.ID, "account.recovery_code_used", audit.OutcomeSuccess)
}

func newRecoveryCode() string {
	var random [10]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand aborts the program instead
	text := base32.StdEncoding.EncodeToString(random[:])
	return text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:]
}

// plain is a recovery code without its grouping.
func plain(code string) string {
	return strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(code))
}

// isRecovery reports whether a code has the form of a recovery code.
func isRecovery(code string) bool {
	text := plain(code)
	_, err := base32.StdEncoding.DecodeString(text)
	return len(text) == recoveryLength && err == nil
}

// digest is what is kept of a recovery code.
func digest(user, code string) []byte {
	sum := sha256.Sum256([]byte(user + "\x00" + plain(code)))
	return sum[:]
}
