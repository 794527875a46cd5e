package settings

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-json-experiment/json"

	"github.com/opsmantik/sallyport/examples/ingest/password"
)

// Demo is what a first start without settings generates. It is kept beside the
// data, readable by its owner alone, so that the next start serves the same
// site; of the password only the hash is kept.
type Demo struct {
	Site Site   `json:"site"`
	User User   `json:"user"`
	Key  string `json:"signing_key"`

	// Password is set on the start that made it, and then never again.
	Password string `json:"-"`
	// File is where the rest is kept.
	File string `json:"-"`
}

// completeDemo fills in what the operator did not configure.
func (s *Settings) completeDemo(at Bound) error {
	path := s.Demo.File
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return &Problem{"DATA_DIR", err.Error()}
	}
	demo, err := readDemo(path)
	if errors.Is(err, fs.ErrNotExist) {
		demo = newDemo()
		demo.File = path
		err = demo.write()
	}
	if err != nil {
		return &Problem{"DATA_DIR", fmt.Sprintf("%s: %v; delete it to make a new one", path, err)}
	}
	demo.File = path
	demo.Site.Origins = []string{"http://" + at.Page}
	demo.Site.RatePerMinute = max(demo.Site.RatePerMinute, s.RatePerMinute)
	s.Demo, s.AllowedOrigins = demo, demo.Site.Origins
	s.Sites, s.Users, s.CurrentKey = []Site{demo.Site}, []User{demo.User}, demo.Key
	s.PublicOrigins = loopbackOrigins(at.API)
	return nil
}

func readDemo(path string) (*Demo, error) {
	data, err := os.ReadFile(path) // #nosec G304 -- below the operator's DATA_DIR
	if err != nil {
		return nil, err
	}
	var demo Demo
	if err := json.Unmarshal(data, &demo, json.RejectUnknownMembers(true)); err != nil {
		return nil, errors.New("is damaged")
	}
	if !siteID.MatchString(demo.Site.ID) || demo.Site.Secret == "" || demo.Key == "" {
		return nil, errors.New("is incomplete")
	}
	return &demo, nil
}

// NewPassword replaces the password of a demo that is kept already: nobody can
// print the old one, of which there is only a hash. A server that is running
// takes the new one when it is started again.
func (s *Settings) NewPassword() error {
	path := s.Demo.File
	demo, err := readDemo(path)
	if err != nil {
		return &Problem{"DATA_DIR", fmt.Sprintf("%s: %v; start the server once to make it", path, err)}
	}
	demo.File, demo.Password = path, rand.Text()
	demo.User.PasswordHash = password.New(demo.Password).PHC()
	s.Demo = demo
	return demo.write()
}

func newDemo() *Demo {
	secret := rand.Text()
	demo := &Demo{
		Site: Site{
			ID: randomHex(16), Name: "Demo", Secret: randomHex(32), RatePerMinute: 2000, Owner: "demo-admin",
		},
		User: User{
			ID: "demo-admin", Email: "admin@demo.test", PasswordHash: password.New(secret).PHC(),
			TOTPSecret: randomBase32(20), Role: "admin",
		},
		Key:      "sig_" + randomHex(32),
		Password: secret,
	}
	demo.User.Sites = []string{demo.Site.ID}
	return demo
}

// write renames a complete file into place: a start that is killed half way
// leaves none.
func (d *Demo) write() error {
	data, err := json.Marshal(d)
	if err != nil {
		return err
	}
	partial := d.File + ".new"
	if err := os.WriteFile(partial, data, 0o600); err != nil {
		return err
	}
	return os.Rename(partial, d.File)
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand aborts the program instead
	return hex.EncodeToString(b)
}

func randomBase32(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)
}
