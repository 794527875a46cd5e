package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStandardInput(t *testing.T) {
	t.Parallel()
	var out, status bytes.Buffer
	in := iotest.OneByteReader(strings.NewReader("to ann@example.com\npaid 4929 7181 2345 6789\n"))
	require.NoError(t, run(context.Background(), nil, in, &out, &status))
	require.Equal(t, "to [email]\npaid [card]\n", out.String())
	require.Regexp(t, `(?s)email +1\n.*card +1\n.*total +2\n.*44 B read`, status.String())
	require.NotContains(t, status.String(), "\r", "no bar without a terminal")
}

func TestFiles(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "app.log")
	require.NoError(t, os.WriteFile(name, []byte("ann@example.com password=x\n"), 0o600))
	var out, status bytes.Buffer
	require.NoError(t, run(context.Background(), []string{"-only", "email", name, name}, nil, &out, &status))
	require.Equal(t, strings.Repeat("[email] password=x\n", 2), out.String())
	out.Reset()
	require.NoError(t, run(context.Background(), []string{"-summary", name}, nil, &out, &status))
	require.Empty(t, out.String())
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"detector", []string{"-only", "emial"}, `"emial": is not a built-in detector`},
		{"flag", []string{"-x"}, "flag provided but not defined"},
		{"missing", []string{filepath.Join(t.TempDir(), "none")}, "no such file"},
		{"directory", []string{t.TempDir()}, "is a directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := run(context.Background(), tt.args, strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{})
			require.ErrorContains(t, err, tt.want)
		})
	}
	broken := errors.New("broken")
	err := run(context.Background(), nil, iotest.ErrReader(broken), &bytes.Buffer{}, &bytes.Buffer{})
	require.ErrorIs(t, err, broken)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorContains(t, run(ctx, nil, strings.NewReader("x"), &bytes.Buffer{}, &bytes.Buffer{}), "interrupted")
}

func TestBarLine(t *testing.T) {
	t.Parallel()
	b := &bar{name: shorten("/var/log/a/very/long/path/to/application.log"), size: 4 << 20, done: 1 << 20}
	line := b.line(time.Second)
	require.Equal(t, "...th/to/application.log", line[:24])
	require.Contains(t, line, "[#######.....................]  25%    1.0 MiB/s  3s left")
	b.size = 0
	require.Contains(t, b.line(time.Second), "1.0 MiB    1.0 MiB/s")
	require.Equal(t, "17 B", bytesText(17))
	require.Equal(t, "2.0 GiB", bytesText(2<<30))
}

func TestExplain(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "app.log")
	text := "nothing\n" + strings.Repeat("user ann@example.com signed in\n", 30) +
		"db_password=hunter2x\tfrom 10.1.2.3\n"
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	var out, status bytes.Buffer
	args := []string{"-explain", "-allow", "10.0.0.0/8", name}
	require.NoError(t, run(context.Background(), args, nil, &out, &status))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 31)
	require.Equal(t, name+":2: email: user «ann@example.com» signed in", lines[0])
	require.Equal(t, name+":32: secret.password: db_password=«hunter2x» from 10.1.2.3", lines[30])
	require.Regexp(t, `email +30 +1\n`, status.String())
	require.Contains(t, status.String(), "1 of 2 rules removed 95%")
	out.Reset()
	args = []string{"-explain", "-allow-rule", "email,secret.password", "-preset", "logs", name}
	require.NoError(t, run(context.Background(), args, nil, &out, &status))
	require.NotContains(t, out.String(), "email")
}

func TestCheck(t *testing.T) {
	t.Parallel()
	check := func(text string) error {
		return run(context.Background(), []string{"-check", "-summary"}, strings.NewReader(text), &bytes.Buffer{}, &bytes.Buffer{})
	}
	require.NoError(t, check("nothing here\n"))
	require.ErrorIs(t, check("to ann@example.com\n"), errFound)
}
