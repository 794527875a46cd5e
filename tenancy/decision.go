package tenancy

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/opsmantik/sallyport"
)

// Decision is what the gate decided and why, in [sallyport.Event].Detail. Code,
// Permission and Role are safe as metric labels; the rest is for the audit log.
type Decision struct {
	Code       string
	Permission string
	// Principal is who asked; the zero one is nobody.
	Principal sallyport.Principal
	// Site is what the request named; it is a claim until Allowed.
	Site string
	// Sources are the names of the sources that named it.
	Sources []string
	// Role is the user's on the site, once it is known that it has the permission.
	Role Role
	// Cached tells that the membership was remembered, and not asked for.
	Cached bool
	// Address is the client's, where a list of networks decided.
	Address netip.Addr
	// Reason is why a service acts: see [AuthorizeService].
	Reason string
	// Err is the cause of a refusal; it tells ErrNotMember from ErrForbidden.
	Err error

	member *member
	level  sallyport.Level
	maxAge time.Duration
}

func (g *Gate) decision(who sallyport.Principal, permission string, o outcome) Decision {
	d := Decision{
		Code: o.code, Permission: permission, Principal: who, Site: o.site, Cached: o.cached,
		Address: o.addr, Err: o.cause, member: o.member, level: o.level, maxAge: o.maxAge,
	}
	for i, s := range g.cfg.Sources {
		if o.named&(1<<i) != 0 {
			d.Sources = append(d.Sources, s.name)
		}
	}
	if d.holds() {
		d.Role = o.member.role
	}
	return d
}

// holds reports whether the decision got past the permission. Before that, Role stays
// empty: an event of a stranger must not say what others are.
func (d *Decision) holds() bool {
	return d.Code == CodeGranted || d.Code == CodeStepUp || d.Code == CodeNetwork
}

// Explain tells the decision step by step, one line each, down to the step that
// ended it. It names users, sites and addresses: for operators, not for clients.
//
//	who: user ann, AAL1
//	site: s1, named by site_id
//	role: admin, remembered
//	permission: calls:seal, which the role has
//	factors: AAL1, and AAL2 is needed
//	decision: insufficient_user_authentication
func (d Decision) Explain() string {
	var b strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) }
	d.explainWho(line)
	if d.Site != "" {
		d.explainSite(line)
	}
	if d.member != nil {
		d.explainRole(line)
	}
	if d.holds() {
		d.explainConditions(line)
	}
	line("decision: %s", d.Code)
	if d.Err != nil {
		line("cause: %v", d.Err)
	}
	return b.String()
}

func (d *Decision) explainWho(line func(string, ...any)) {
	who := d.Principal
	switch {
	case !who.Proved():
		line("who: nobody")
	case who.Key != "":
		line("who: %s %s, key %s, scopes %s", who.Kind, who.ID, who.Key,
			strings.Join(who.Scopes, " "))
	default:
		line("who: %s %s, AAL%d", who.Kind, who.ID, who.Level)
	}
	if d.Reason != "" {
		line("reason: %s", d.Reason)
	}
}

func (d *Decision) explainSite(line func(string, ...any)) {
	if len(d.Sources) == 0 {
		line("site: %s", d.Site)
		return
	}
	line("site: %s, named by %s", d.Site, strings.Join(d.Sources, ", "))
}

func (d *Decision) explainRole(line func(string, ...any)) {
	how := "asked for"
	if d.Cached {
		how = "remembered"
	}
	row := d.member.rights
	switch {
	case d.member.role == "":
		line("role: none, %s", how)
		return
	case row == nil:
		line("role: %s, %s, which the table does not know", d.member.role, how)
		return
	}
	line("role: %s, %s", d.member.role, how)
	switch {
	case !row.can[d.Permission]:
		line("permission: %q, which the role lacks", d.Permission)
	case !inScope(&d.Principal, d.Permission):
		line("permission: %s, which the role has and the key lacks", d.Permission)
	default:
		line("permission: %s, which the role has", d.Permission)
	}
}

func (d *Decision) explainConditions(line func(string, ...any)) {
	if row := d.member.rights; len(row.Networks)+len(d.member.networks) > 0 {
		line("network: %v; the role's %v, the site's %v", d.Address, row.Networks,
			d.member.networks)
	}
	if d.Code == CodeNetwork {
		return
	}
	need := fmt.Sprintf("AAL%d", d.level)
	if d.maxAge > 0 {
		need += fmt.Sprintf(" not older than %v", d.maxAge)
	}
	line("factors: AAL%d at %s, and %s is needed", d.Principal.Level,
		d.Principal.AuthTime.UTC().Format(time.RFC3339), need)
}
