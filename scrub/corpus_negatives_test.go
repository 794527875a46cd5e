package scrub_test

import (
	"fmt"
	"strings"
)

type negative struct {
	name string
	n    int
	make func(gen) string
}

// negatives are texts that resemble personal data and are none.
func negatives() []negative {
	d := func(g gen, n int) string { return g.chars(digitSet, n) }
	hx := func(g gen, n int) string { return g.chars(hexSet, n) }
	ver := func(g gen) string { return fmt.Sprintf("%d.%d.%d", g.IntN(20), g.IntN(40), g.IntN(300)) }
	uuid := func(g gen) string {
		return hx(g, 8) + "-" + hx(g, 4) + "-4" + hx(g, 3) + "-a" + hx(g, 3) + "-" + hx(g, 12)
	}
	return []negative{
		{"epoch", 150, func(g gen) string {
			return fmt.Sprintf(g.pick("ts=%s", `{"timestamp":%s}`, "at %s,", "%s INFO ok", "expires:%s", "?_ts=%s&a=1"),
				"17"+d(g, []int{8, 11, 14, 17}[g.IntN(4)]))
		}},
		{"iso-time", 100, func(g gen) string {
			return fmt.Sprintf(g.pick("2026-%02d-%02dT%02d:%02d:%02d.%03dZ ok", "2026-%02d-%02d %02d:%02d:%02d,%03d WARN",
				"2026/%02d/%02d %02d:%02d:%02d.%03d main.go:17", "2026%02d%02d%02d%02d%02d%03d"),
				1+g.IntN(12), 1+g.IntN(28), g.IntN(24), g.IntN(60), g.IntN(60), g.IntN(1000))
		}},
		{"uuid", 150, func(g gen) string {
			return fmt.Sprintf(g.pick("id=%s", `{"request_id":"%s"}`, "/v1/items/%s/edit", "trace %s done", "%s"), uuid(g))
		}},
		{"hash", 120, func(g gen) string {
			return fmt.Sprintf(g.pick("sha256:%s", "commit %s", "etag=\"%s\"", "md5 %s", "image@sha256:%s"),
				hx(g, []int{32, 40, 64, 7, 12}[g.IntN(5)]))
		}},
		{"order", 150, func(g gen) string {
			return fmt.Sprintf(g.pick("order %s shipped", "order_id=%s", `{"invoice":"%s"}`, "ticket #%s", "INV-%s", "sku %s"),
				g.pick("1", "7", "8", "9")+d(g, 5+g.IntN(9)))
		}},
		{"version", 120, func(g gen) string {
			return fmt.Sprintf(g.pick("v%s", "lodash@%s", "golang.org/x/text@v%s", "go version go%s linux/amd64",
				"pkg@v%s-beta.2", "nginx/%s", "@types/node@%s", "actions/checkout@v%s", "Chrome/120.0.%s Safari/537.36"), ver(g))
		}},
		{"remote", 80, func(g gen) string {
			n := g.chars(lowerSet, 6)
			return fmt.Sprintf(g.pick("git@github.com:%s/repo.git", "ssh://git@gitlab.com/%s/x.git",
				"https://github.com/%s/repo", "git clone git@bitbucket.org:%s/y.git", "origin git@example.org:%s.git (fetch)"), n)
		}},
		{"prose", 120, func(g gen) string {
			return g.pick("Bearer token required", "the user was not authenticated", "basic authentication failed",
				"the author of the keyboard driver", "password reset email sent", "token expired, please sign in again",
				"invalid credentials", "The secret of success is patience", "authorization denied by policy",
				"the bearer of this letter", "Basic auth is disabled", "unexpected token } in JSON at position 17",
				"passwords must have at least 12 characters", "cookie banner shown", "api key is missing",
				"session started", "no secrets were found", "authentication required: see docs",
				"token bucket limiter", "the key is under the mat", "missing bearer authentication header") +
				g.pick("", ".", " (attempt 2)", " after 15ms", "!")
		}},
		{"benign-key", 120, func(g gen) string {
			return fmt.Sprintf(g.pick(`{"token_count":%s}`, "max_tokens=%s", `{"author":"%s"}`, "keyboard=%s", "monkey: %s",
				"session_duration=%s", `{"password_length":%s}`, "key_count=%s", "tokens_used=%s", `{"cookies_enabled":%s}`,
				"secretary=%s", "auth_method=%s", "has_password=%s", "keyspace=%s", "authority=%s"),
				g.pick("17", "1200", "true", "3", "42"))
		}},
		{"path", 80, func(g gen) string {
			return fmt.Sprintf(g.pick("/usr/lib/python3.11/site-packages/%s.py:17", "icon-%s@2x.png", "/app/main.go:%s +0x1d",
				"C:\\temp\\%s\\new.txt", "node_modules/@babel/%s/lib/index.js", "getty@%s.service", "%s@.service"),
				g.chars(lowerSet, 5))
		}},
		{"number", 120, func(g gen) string {
			return fmt.Sprintf(g.pick("price 1%s.99", "0.%s", "pi=3.%s", "lat=52.%s lon=13.4", "ratio: 0.%s%%", "[%s 1 2 3]",
				"rows=%s", "x=-1.%s"), d(g, 3+g.IntN(12)))
		}},
		{"isbn", 50, func(g gen) string {
			return g.pick("ISBN 978-3-16-", "ISBN 9783", "EAN 40", "ISBN 978-0-") + d(g, 6) + "-" + d(g, 1)
		}},
		{"stack", 60, func(g gen) string {
			return fmt.Sprintf("goroutine %d [running]:\nmain.handle(0xc000%s, 0x%s)\n\t/app/main.go:%d +0x%s", g.IntN(900),
				hx(g, 6), hx(g, 2), g.IntN(900), hx(g, 2))
		}},
		{"scope", 60, func(g gen) string {
			return g.pick("std::vector<int>", "Foo::Bar::baz", "a::b", "ActiveRecord::Base", "core::fmt::Debug", "dead::beef",
				"12:30:45", "00:1b:44:11:3a:b7", "10:20", "C::D", "ratio 16:9") + g.pick(" ok", "", ";", " x=1")
		}},
		{"dotted", 60, func(g gen) string {
			return g.pick("oid 1.3.6.1.4.1.", "section 1.2.3.", "version 10.0.", "build 7.1.2600.", "range 1-2-3-") + d(g, 3)
		}},
		{"slug", 60, func(g gen) string {
			return g.pick("sk-learn", "risk-assessment", "task-", "disk-usage-", "ghp", "the-quick-brown-") +
				strings.Repeat(g.chars(lowerSet, 4)+"-", 1+g.IntN(4)) + "end"
		}},
		{"cursor", 40, func(g gen) string {
			return "cursor=" + b64url(`{"id":`+d(g, 6)+`,"after":true}`)
		}},
		{"dump", 60, func(g gen) string {
			return fmt.Sprintf(g.pick("[%s %s %s]", "%s, %s, %s", "%s-%s (%s)", "0000%s: %s %s", "%s|%s|%s"), d(g, 3), d(g, 4), d(g, 2))
		}},
	}
}
