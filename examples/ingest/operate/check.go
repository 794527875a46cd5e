package operate

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/opsmantik/sallyport/examples/ingest/settings"
)

// errFound means that a check found something and has printed it.
var errFound = errors.New("found something")

// maxSkew is how far two clocks may be apart: signatures allow for minutes, sessions for
// less.
const maxSkew = 2 * time.Second

// check looks at everything that the server needs, and prints every problem at once. It
// changes nothing.
func check(ctx context.Context, c *Console, args []string) error {
	own, flags := words(args)
	if len(own) > 0 {
		return errUsage
	}
	s, err := settings.Load(flags, c.Environ)
	if err != nil {
		_, _ = fmt.Fprintln(c.Out, err)
		return errFound
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var problems []error
	problems = append(problems, modes(s)...)
	problems = append(problems, certificate(s)...)
	problems = append(problems, c.database(ctx, s)...)
	problems = append(problems, redisServer(ctx, s)...)
	for _, problem := range problems {
		_, _ = fmt.Fprintln(c.Out, problem)
	}
	if len(problems) > 0 {
		return errFound
	}
	_, err = fmt.Fprintf(c.Out, "%d sites, %d users: nothing to complain about\n", len(s.Sites), len(s.Users))
	return err
}

// modes finds files of DATA_DIR that others on the machine may read.
func modes(s *settings.Settings) (problems []error) {
	err := filepath.WalkDir(s.DataDir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // made at the first start
		}
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			problems = append(problems, fmt.Errorf("DATA_DIR: %s: others may use it (%v); chmod go-rwx",
				path, info.Mode().Perm()))
		}
		return err
	})
	if err != nil {
		problems = append(problems, fmt.Errorf("DATA_DIR: %w", err))
	}
	return problems
}

// certificate finds one that has ended, or ends within the time that a renewal is late.
func certificate(s *settings.Settings) []error {
	if s.TLSCertFile == "" {
		return nil
	}
	data, err := os.ReadFile(s.TLSCertFile) // Load has paired it with its key
	if err != nil {
		return []error{fmt.Errorf("TLS_CERT_FILE: %w", err)}
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return []error{errors.New("TLS_CERT_FILE: is not PEM")}
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return []error{fmt.Errorf("TLS_CERT_FILE: %w", err)}
	}
	if left := time.Until(leaf.NotAfter); left < 14*24*time.Hour {
		return []error{fmt.Errorf("TLS_CERT_FILE: ends on %s; renew it", leaf.NotAfter.Format(time.DateOnly))}
	}
	return nil
}

// database opens the store as the server would. With SQLite that is the server's alone
// while it runs, which then has checked the same.
func (c *Console) database(ctx context.Context, s *settings.Settings) []error {
	if _, err := os.Stat(s.DataDir); errors.Is(err, fs.ErrNotExist) && s.Database.URL == "" {
		return nil // made at the first start
	}
	db, _, err := c.Open(ctx, s, slog.New(slog.DiscardHandler))
	if err != nil {
		return []error{fmt.Errorf("database: %w", err)}
	}
	_, err = db.VerifyAudit(ctx)
	if err = errors.Join(err, db.Close()); err != nil {
		return []error{fmt.Errorf("database: %w", err)}
	}
	return nil
}

// redisServer asks Redis what it would lose, and what time it is.
func redisServer(ctx context.Context, s *settings.Settings) (problems []error) {
	if s.RedisURL == "" {
		return nil
	}
	problem := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("REDIS_URL: "+format, args...))
	}
	options, err := redis.ParseURL(s.RedisURL)
	if err != nil {
		return []error{errors.New("REDIS_URL: is no URL of a single Redis; ask a Cluster or Sentinel yourself")}
	}
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	now, err := client.Time(ctx).Result()
	if err != nil {
		return []error{fmt.Errorf("REDIS_URL: %w", err)}
	}
	if skew := time.Since(now).Abs(); skew > maxSkew {
		problem("its clock is %v away from this one; run NTP on both", skew.Round(time.Millisecond))
	}
	for _, want := range [][2]string{
		{"maxmemory-policy", "noeviction"}, {"appendonly", "yes"}, {"appendfsync", "always"},
	} {
		got, err := client.ConfigGet(ctx, want[0]).Result()
		if err != nil {
			problem("does not say its %s (%v); make sure that it is %s", want[0], err, want[1])
		} else if got[want[0]] != want[1] {
			problem("%s is %q; set it to %s, or it loses what was acknowledged", want[0], got[want[0]], want[1])
		}
	}
	return problems
}
