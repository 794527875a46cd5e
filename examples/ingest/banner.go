package main

import (
	"fmt"
	"io"

	"github.com/opsmantik/sallyport/examples/ingest/server"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
)

func row(w io.Writer, name, value string) { _, _ = fmt.Fprintf(w, "  %-12s %s\n", name, value) }

// printCredentials shows what was generated.
func printCredentials(w io.Writer, demo *settings.Demo) {
	row(w, "site", demo.Site.ID)
	row(w, "secret", demo.Site.Secret)
	row(w, "admin", demo.User.Email)
	if demo.Password != "" {
		row(w, "password", demo.Password)
	} else {
		row(w, "password", "(printed on the first start; -print-demo makes a new one)")
	}
	row(w, "TOTP secret", demo.User.TOTPSecret)
	row(w, "TOTP URL", "otpauth://totp/sallyport:"+demo.User.Email+
		"?secret="+demo.User.TOTPSecret+"&issuer=sallyport")
}

// banner tells a newcomer what was generated and what to try first.
func banner(w io.Writer, s *settings.Settings, at server.Addresses) {
	if s.Demo == nil {
		_, _ = fmt.Fprintln(w, "sallyport ingest")
		row(w, "api", at.API)
		if at.Pages != "" {
			row(w, "pages", at.Pages)
		}
		return
	}
	site, user := s.Demo.Site, s.Demo.User
	_, _ = fmt.Fprintln(w, "sallyport ingest, demo mode: this machine only, made-up secrets")
	row(w, "open this", at.Pages)
	row(w, "api", at.API)
	row(w, "demo page", at.Demo+"/demo")
	printCredentials(w, s.Demo)
	_, _ = fmt.Fprintf(w, `
Send an event:
  curl -i '%s/api/sync' -H 'Content-Type: text/plain' -d '{"s":"%s","u":"%s/demo","ec":"interaction","ea":"view","el":"","consent_scopes":["analytics"]}'

Sign in, then send the code that an authenticator shows for the TOTP secret:
  curl -i -c jar '%s/auth/login' -H 'Content-Type: application/json' -d '{"email":"%s","password":"PASSWORD"}'
  curl -i -c jar -b jar '%s/auth/totp' -H 'Content-Type: application/json' -d '{"code":"CODE"}'
  curl -b jar '%s/api/sites/%s/events'

Stop with Ctrl-C.
`, at.API, site.ID, at.Demo, at.API, user.Email, at.API, at.API, site.ID)
}
