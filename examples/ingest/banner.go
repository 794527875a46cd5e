package main

import (
	"fmt"
	"io"

	"github.com/opsmantik/sallyport/examples/ingest/server"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
)

// banner tells a newcomer what was generated and what to try first.
func banner(w io.Writer, s *settings.Settings, at server.Addresses) {
	line := func(name, value string) { _, _ = fmt.Fprintf(w, "  %-12s %s\n", name, value) }
	if s.Demo == nil {
		_, _ = fmt.Fprintln(w, "sallyport ingest")
		line("api", at.API)
		return
	}
	site, user := s.Demo.Site, s.Demo.User
	_, _ = fmt.Fprintln(w, "sallyport ingest, demo mode: this machine only, made-up secrets")
	line("api", at.API)
	line("demo page", at.Demo+"/demo")
	line("site", site.ID)
	line("secret", site.Secret)
	line("admin", user.Email)
	if s.Demo.Password != "" {
		line("password", s.Demo.Password)
	} else {
		line("password", "(printed on the first start; delete "+s.Demo.File+" for a new one)")
	}
	line("TOTP secret", user.TOTPSecret)
	line("TOTP URL", "otpauth://totp/sallyport:"+user.Email+
		"?secret="+user.TOTPSecret+"&issuer=sallyport")
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
