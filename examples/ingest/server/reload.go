package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
)

// Reload puts settings that were read again into use: sites, users, keys, limits
// and the certificate. All of them or, on an error, none. What changed for people
// and sites is on record before it happens. Requests under way, sessions and what
// is remembered of requests stay; users who are gone, or whose password, second
// factor or role changed, are signed out.
func (srv *Server) Reload(ctx context.Context, s *settings.Settings) error {
	srv.reloading.Lock()
	defer srv.reloading.Unlock()
	if err := s.Complete(srv.cfg.Listeners.Bound()); err != nil {
		return err
	}
	before := srv.current.Load().settings
	if err := needsRestart(before, s); err != nil {
		return err
	}
	next, err := srv.generation(s)
	if err != nil {
		return err
	}
	changes := compare(before, s)
	for _, change := range changes {
		if err := srv.cfg.Store.Record(ctx, change.record(time.Now())); err != nil {
			return fmt.Errorf("changes cannot be recorded: %w", err)
		}
	}
	srv.use(next)
	for _, change := range changes {
		if change.signsOut {
			if _, err := next.gates.Sessions.EndUser(ctx, change.id); err != nil {
				srv.cfg.Log.ErrorContext(ctx, "sessions not ended", "user", change.id, "error", err)
			}
		}
	}
	srv.cfg.Log.InfoContext(ctx, "settings reloaded", "changes", len(changes))
	return nil
}

// needsRestart names the settings that a running server cannot change.
func needsRestart(before, after *settings.Settings) error {
	var names []string
	for name, same := range map[string]bool{
		"LISTEN_ADDR":    before.ListenAddr == after.ListenAddr,
		"METRICS_ADDR":   before.MetricsAddr == after.MetricsAddr,
		"DATA_DIR":       before.DataDir == after.DataDir,
		"AUDIT_KEY_FILE": before.AuditKeyFile == after.AuditKeyFile,
		"QUEUE":          before.Queue == after.Queue,
		"DATABASE_URL":   before.Database == after.Database, // and those beside it
		"REDIS_URL":      before.RedisURL == after.RedisURL,
		"WORKER_URL":     before.WorkerURL == after.WorkerURL,
		"SENTRY_DSN":     before.SentryDSN == after.SentryDSN,
		"TLS_CERT_FILE":  (before.TLSCertFile == "") == (after.TLSCertFile == ""),
		"demo mode":      (before.Demo == nil) == (after.Demo == nil),
	} {
		if !same {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return errors.New("these take a restart: " + strings.Join(names, ", "))
}

// change is one thing that reading the settings again changes.
type change struct {
	kind, id, action string
	fields           []audit.Field
	signsOut         bool
}

func (c change) record(now time.Time) audit.Record {
	r := audit.Record{
		Time:    now,
		Actor:   audit.Ref{Kind: "service", ID: "settings"},
		Action:  "settings." + c.action,
		Target:  audit.Ref{Kind: c.kind, ID: c.id},
		Outcome: audit.OutcomeSuccess,
		Fields:  c.fields,
	}
	if c.kind == "site" {
		r.Tenant = c.id
	}
	return r
}

// compare lists what changes, without any secret.
func compare(before, after *settings.Settings) []change {
	all := compareUsers(byID(before.Users), byID(after.Users))
	all = append(all, compareSites(before.Sites, after.Sites)...)
	if before.CurrentKey != after.CurrentKey || before.NextKey != after.NextKey {
		all = append(all, change{kind: "keys", id: "qstash", action: "keys_changed"})
	}
	return all
}

func byID(users []settings.User) map[string]settings.User {
	all := make(map[string]settings.User, len(users))
	for _, user := range users {
		all[user.ID] = user
	}
	return all
}

func compareUsers(before, after map[string]settings.User) (all []change) {
	for id, user := range after {
		old, known := before[id]
		c := change{kind: "user", id: id}
		if !known {
			c.action, c.fields = "user_added", details("role", user.Role)
			all = append(all, c)
			continue
		}
		if old.Role != user.Role {
			c.action, c.signsOut = "role_changed", true
			c.fields = details("from", old.Role, "to", user.Role)
			all = append(all, c)
		}
		if old.PasswordHash != user.PasswordHash || old.TOTPSecret != user.TOTPSecret || old.Email != user.Email {
			all = append(all, change{kind: "user", id: id, action: "user_changed", signsOut: true})
		}
		if !old.SecurityKeysAfter.Equal(user.SecurityKeysAfter) {
			all = append(all, change{kind: "user", id: id, action: "user_keys_forgotten", signsOut: true})
		}
		if !slices.Equal(old.Sites, user.Sites) {
			all = append(all, change{kind: "user", id: id, action: "user_sites_changed"})
		}
		if !slices.Equal(old.Networks, user.Networks) {
			all = append(all, change{kind: "user", id: id, action: "user_networks_changed"})
		}
	}
	for id := range before {
		if _, stays := after[id]; !stays {
			all = append(all, change{kind: "user", id: id, action: "user_removed", signsOut: true})
		}
	}
	slices.SortFunc(all, func(x, y change) int { return strings.Compare(x.id+x.action, y.id+y.action) })
	return all
}

func compareSites(before, after []settings.Site) (all []change) {
	old := map[string]settings.Site{}
	for _, site := range before {
		old[site.ID] = site
	}
	for _, site := range after {
		was, known := old[site.ID]
		delete(old, site.ID)
		switch {
		case !known:
			all = append(all, change{kind: "site", id: site.ID, action: "site_added"})
		case was.Secret != site.Secret || was.NextSecret != site.NextSecret:
			all = append(all, change{kind: "site", id: site.ID, action: "site_secrets_changed"})
		case was.Owner != site.Owner || !slices.Equal(was.Origins, site.Origins) ||
			was.RatePerMinute != site.RatePerMinute || !slices.Equal(was.Networks, site.Networks):
			all = append(all, change{kind: "site", id: site.ID, action: "site_changed"})
		}
	}
	for _, site := range before {
		if _, gone := old[site.ID]; gone {
			all = append(all, change{kind: "site", id: site.ID, action: "site_removed"})
		}
	}
	return all
}

func details(pairs ...string) (all []audit.Field) {
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, audit.Field{Name: pairs[i], Value: pairs[i+1], Class: sallyport.Internal})
	}
	return all
}
