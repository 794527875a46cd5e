// Package fields says of everything that the server stores how sensitive it is, whose it
// is, what it is for and how long it is kept. A column or a member without a row here
// fails a test; the records of processing activities are made of the rows.
//
// Values are kept as they came: nothing is sealed under a key of the person yet, so a
// person's data ends with the rows and files that hold it, and with their backups.
package fields

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/tenancy"
)

// Field is what a table has in common that is said of its columns.
type Field struct {
	Table     string // of the database, or "event" and "call" for what senders report
	Columns   string // with spaces between them
	Class     sallyport.Class
	Whose     string
	Purpose   string
	Retention string
}

const (
	visitors = "visitors"
	callers  = "visitors who ask for a call"
	users    = "users"
	nobody   = "nobody"

	untilDeleted = "until the operator deletes it; on Postgres EVENTS_KEEP_MONTHS"
	asCall       = "as long as the site's calls are billed; until the operator deletes it"
	delivered    = "until it is delivered; dead letters until they are replayed"
	withLog      = "as long as the audit log: 12 months, then archived"
	withUser     = "as long as the user"
)

// All is every field.
var All = []Field{
	// What senders report. The queue holds it whole.
	{
		"event",
		"s sm ec ea consent_scopes",
		sallyport.Internal, visitors,
		"which site, month and kind of event; the consent", untilDeleted,
	},
	{
		"event", "u url sid el ev r meta",
		sallyport.Confidential, visitors, "analysis of visits and conversions", untilDeleted,
	},
	{
		"call", "event_id site_id action intent_action intent_stamp value",
		sallyport.Internal, callers, "which call, and its worth", asCall,
	},
	{
		"call",
		"fingerprint phone_number intent_target intent_page_url url ua click_id gclid wbraid " +
			"gbraid ads_context",
		sallyport.Confidential, callers,
		"attribution of calls to advertisements", asCall,
	},

	{
		"events", "id site_id month category action received_at seen_from seen_to visit",
		sallyport.Internal, visitors, "which event, when, and that it counts once", untilDeleted,
	},
	{
		"events",
		"session_id label value url referrer meta stamp identity",
		sallyport.Confidential, visitors,
		"analysis of visits and conversions; identity is a hash of all of it", untilDeleted,
	},
	{
		"visits", "site_id id first_at last_at events",
		sallyport.Internal, visitors, "how long a visit lasted", untilDeleted,
	},
	{
		"visits", "session_id",
		sallyport.Confidential, visitors, "which visits are one browser's", untilDeleted,
	},
	{
		"calls", "id site_id event_id action received_at status",
		sallyport.Internal, callers, "which call, and what was decided about it", asCall,
	},
	{
		"calls", "phone fingerprint url stamp detail",
		sallyport.Confidential, callers, "attribution of calls to advertisements", asCall,
	},
	{
		"call_ids",
		"site_id event_id digest",
		sallyport.Internal, callers,
		"that a call counts once; the digest is a hash of all of it", asCall,
	},
	{
		"queue", "seq lone dead site_id due_at dead_at events",
		sallyport.Internal, nobody, "order of deliveries", delivered,
	},
	{
		"queue", "payload",
		sallyport.Confidential, visitors, "events on their way to where they are kept", delivered,
	},

	{
		"call_actions", "audit_seq call_id site_id action actor previous at",
		sallyport.Internal, users, "who decided about a call", withLog,
	},
	{
		"audit_log", "seq entry site_id",
		sallyport.Confidential, users, "who did what, so that it can be proved", withLog,
	},
	{
		"audit_head", "only head",
		sallyport.Internal, nobody, "the end of the audit log", withLog,
	},

	{
		"totp_spent", "user_id step",
		sallyport.Internal, users, "that a one-time password counts once", withUser,
	},
	{
		"factor_failures", "user_id n last_at",
		sallyport.Internal, users, "telling the owner of wrong codes", "until the next sign-in",
	},
	{
		"recovery_codes", "user_id",
		sallyport.Internal, users, "whose code it is", "until it is used or replaced",
	},
	{
		"recovery_codes",
		"digest",
		sallyport.Restricted, users,
		"signing in without the authenticator", "until it is used or replaced",
	},
	{
		"security_keys", "id user_id name credential public_key counter created_at used_at",
		sallyport.Confidential, users, "signing in with a security key", "until it is removed",
	},
	{
		"api_keys", "id user_id name scopes created_at expires_at revoked_at used_at",
		sallyport.Internal, users, "who may read by machine, and what", withUser,
	},
	{
		"api_keys", "hash",
		sallyport.Restricted, users, "recognising a key", withUser,
	},
	{
		"probe", "only at",
		sallyport.Public, nobody, "whether writing works", "one row",
	},
}

// Of returns the field that a column belongs to, or false.
func Of(table, column string) (Field, bool) {
	for _, f := range All {
		if f.Table != table {
			continue
		}
		for name := range strings.FieldsSeq(f.Columns) {
			if name == column {
				return f, true
			}
		}
	}
	return Field{}, false
}

// View is the permission to read the records of processing activities.
type View struct{}

// Permission names the permission.
func (View) Permission() string { return "gdpr:records" }

// Records answers GET /api/gdpr/records?site_id=...: the records of processing activities
// (GDPR Article 30, https://gdpr-info.eu/art-30-gdpr/), in Markdown. What the operator
// alone knows is left to be stated.
func Records(w http.ResponseWriter, _ *http.Request, g tenancy.Grant[View]) {
	w.Header().Set("Content-Type", "text/markdown; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_ = Write(w, g.Site())
}

// Write writes the records for a site.
func Write(w io.Writer, site string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Records of processing activities of site %s\n\n", site)
	b.WriteString("Controller, contact, legal basis, recipients, transfers: **to be stated**\n\n" +
		"Security: TLS, access by role and second factor, files for their owner alone, " +
		"audited changes.\n\nBreaches: the supervisory authority is told within 72 hours of " +
		"when one became known (GDPR Article 33).\n\n" +
		"| Data | Of whom | Class | Purpose | Kept |\n|---|---|---|---|---|\n")
	for _, f := range All {
		fmt.Fprintf(&b, "| %s: %s | %s | %s | %s | %s |\n", f.Table,
			strings.Join(strings.Fields(f.Columns), ", "), f.Whose, f.Class, f.Purpose, f.Retention)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
