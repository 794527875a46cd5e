//go:build unix

package loopback

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// requireServices is the environment switch that turns skips into failures.
const requireServices = "SALLYPORT_REQUIRE_SERVICES"

// binary is a program a test needs.
type binary struct {
	names []string // tried on PATH, in order
	glob  string   // then here; the last match wins (the newest version)
	pkg   string   // the Debian package to install
}

var (
	redisServer = binary{names: []string{"redis-server"}, pkg: "redis-server"}
	initdb      = binary{
		names: []string{"initdb"},
		glob:  "/usr/lib/postgresql/*/bin/initdb",
		pkg:   "postgresql",
	}
	chromium = binary{
		names: []string{"chromium", "chromium-browser", "google-chrome"},
		pkg:   "chromium",
	}
)

// find returns the path of b, or ends the test.
func (b binary) find(t testing.TB) string {
	t.Helper()
	for _, name := range b.names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if b.glob != "" {
		// The pattern is a constant, so the only error there is cannot occur.
		if found, _ := filepath.Glob(b.glob); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	const format = "loopback: no %s found; install it with: apt-get install %s"
	if os.Getenv(requireServices) == "1" {
		t.Fatalf(format+" ("+requireServices+"=1 forbids skipping)", b.names[0], b.pkg)
	}
	t.Skipf(format, b.names[0], b.pkg)
	return ""
}

// Chromium returns the path of a Chromium or Chrome binary. The caller starts
// it; as root it needs --no-sandbox.
func Chromium(t testing.TB) string {
	t.Helper()
	return chromium.find(t)
}
