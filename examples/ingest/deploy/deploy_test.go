// Package deploy_test checks the files for systemd, containers and compose.
package deploy_test

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// exposure is what systemd-analyze says of the unit at the end: 0 is best, 10 worst.
var exposure = regexp.MustCompile(`Overall exposure level for ingest\.service: ([\d.]+)`)

func TestUnitIsHardened(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		require.Empty(t, os.Getenv("SALLYPORT_REQUIRE_SERVICES"), "systemd-analyze is not installed (package systemd)")
		t.Skip("systemd-analyze is not installed")
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "./ingest.service").CombinedOutput()
	require.NoError(t, err, "%s", out)
	m := exposure.FindSubmatch(out)
	require.NotNil(t, m, "%s", out)
	score, err := strconv.ParseFloat(string(m[1]), 64)
	require.NoError(t, err)
	require.LessOrEqual(t, score, 1.3)
}

// TestComposeIsSafe: what a reader copies keeps what it acknowledges, and shares no
// more than it has to.
func TestComposeIsSafe(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("compose.yaml")
	require.NoError(t, err)
	var file struct {
		Services map[string]struct {
			Ports    []string
			Command  []string
			ReadOnly bool     `yaml:"read_only"`
			CapDrop  []string `yaml:"cap_drop"`
		}
	}
	require.NoError(t, yaml.Unmarshal(data, &file))
	redis := strings.Join(file.Services["redis"].Command, " ")
	for _, want := range []string{"--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"} {
		require.Contains(t, redis, want)
	}
	for name, service := range file.Services {
		require.Equal(t, name == "caddy", len(service.Ports) > 0, name)
		if strings.HasPrefix(name, "ingest") {
			require.True(t, service.ReadOnly, name)
			require.Equal(t, []string{"ALL"}, service.CapDrop, name)
		}
	}
}
