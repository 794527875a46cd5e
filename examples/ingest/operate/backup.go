package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opsmantik/sallyport/examples/ingest/settings"
	"github.com/opsmantik/sallyport/examples/ingest/sqlite"
)

// errPostgres: there is nothing in DATA_DIR to copy.
var errPostgres = errors.New("the data is in Postgres: use pg_dump and pg_restore, see docs/operations.md")

// backup copies the database as of one moment, and the small files beside it, into a
// folder that must not exist. It opens the copy and verifies its audit log before it
// says that there is one.
func backup(ctx context.Context, c *Console, args []string) error {
	s, folder, err := c.folder(args)
	if err != nil {
		return err
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	if err := copyFiles(s.DataDir, folder); err != nil {
		return err
	}
	if err := sqlite.Copy(ctx, s.DataDir, folder); err != nil {
		return err
	}
	return c.verified(ctx, folder, "Backup in ")
}

// restore puts a backup into DATA_DIR, which must be empty or missing: nothing is
// overwritten. The server that starts there does the rest.
func restore(ctx context.Context, c *Console, args []string) error {
	s, folder, err := c.folder(args)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(folder, sqlite.File)); err != nil {
		return fmt.Errorf("%s holds no backup: %w", folder, err)
	}
	if err := os.MkdirAll(s.DataDir, 0o700); err != nil {
		return err
	}
	there, err := os.ReadDir(s.DataDir)
	if err != nil {
		return err
	}
	if len(there) > 0 {
		return fmt.Errorf("%s is not empty; move what is in it away", s.DataDir)
	}
	if err := copyFiles(folder, s.DataDir); err != nil {
		return err
	}
	if err := copyFile(filepath.Join(folder, sqlite.File), filepath.Join(s.DataDir, sqlite.File)); err != nil {
		return err
	}
	return c.verified(ctx, s.DataDir, "Restored into ")
}

// folder reads the settings and the folder that both commands take.
func (c *Console) folder(args []string) (*settings.Settings, string, error) {
	own, flags := words(args)
	if len(own) != 1 {
		return nil, "", errUsage
	}
	s, err := settings.Load(flags, c.Environ)
	if err == nil && s.Database.URL != "" {
		err = errPostgres
	}
	return s, own[0], err
}

// verified opens a folder as the server would, and checks the log against the tables.
func (c *Console) verified(ctx context.Context, folder, done string) error {
	db, err := sqlite.Open(ctx, folder, sqlite.Full)
	if err != nil {
		return err
	}
	head, err := db.VerifyAudit(ctx)
	if err = errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("%s is damaged: %w", folder, err)
	}
	_, err = fmt.Fprintf(c.Out, "%s%s: %d audit records, head %v, verified.\n",
		done, folder, head.Size(), head.Tree().Hash)
	return err
}

// copyFiles copies what lies in a folder beside the database: keys, and what the demo
// generated. The database's own files are left out, and so is the lock.
func copyFiles(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || sqlite.Owns(e.Name()) {
			continue
		}
		if err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from) // #nosec G304 -- in the operator's folders
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600) // #nosec G304 -- likewise
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}
