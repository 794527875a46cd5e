package operate

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/boombuler/barcode/qr"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/term"

	"github.com/opsmantik/sallyport/examples/ingest/password"
	"github.com/opsmantik/sallyport/examples/ingest/settings"
)

// minPassword is NIST SP 800-63B-4's least length for a password that may stand alone.
const minPassword = 15

// readPassword asks twice on a terminal, without showing it, and once in a pipe.
func (c *Console) readPassword() (string, error) {
	file, ok := c.In.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) { // #nosec G115 -- a descriptor is small
		line, err := bufio.NewReader(io.LimitReader(c.In, password.MaxLength+2)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		return checkPassword(strings.TrimRight(line, "\r\n"))
	}
	var given [2]string
	for i, prompt := range []string{"Password: ", "Once more: "} {
		_, _ = fmt.Fprint(c.Err, prompt)
		text, err := term.ReadPassword(int(file.Fd())) // #nosec G115 -- a descriptor is small
		_, _ = fmt.Fprintln(c.Err)
		if err != nil {
			return "", err
		}
		given[i] = string(text)
	}
	if given[0] != given[1] {
		return "", errors.New("the two are not the same")
	}
	return checkPassword(given[0])
}

func checkPassword(text string) (string, error) {
	if n := len([]rune(text)); n < minPassword {
		return "", fmt.Errorf("a password of %d characters can be guessed; want at least %d", n, minPassword)
	}
	if len(text) > password.MaxLength {
		return "", fmt.Errorf("want at most %d bytes", password.MaxLength)
	}
	return text, nil
}

func hashPassword(_ context.Context, c *Console, args []string) error {
	if len(args) > 0 {
		return errUsage // above all not the password: other users see the arguments
	}
	text, err := c.readPassword()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.Out, password.New(text).PHC())
	return err
}

// user adds a user to USERS_FILE. A running server takes it with SIGHUP.
func user(_ context.Context, c *Console, args []string) error {
	if len(args) < 3 || args[0] != "add" {
		return errUsage
	}
	path := c.getenv("USERS_FILE")
	if path == "" {
		return errors.New("USERS_FILE is not set")
	}
	text, err := c.readPassword()
	if err != nil {
		return err
	}
	added := settings.User{
		ID: strings.ToLower(rand.Text()[:16]), Email: args[1], Role: args[2], Sites: args[3:],
		PasswordHash: password.New(text).PHC(), TOTPSecret: newTOTP(),
	}
	if err := appendUser(path, added); err != nil {
		return err
	}
	link := url.URL{
		Scheme: "otpauth", Host: "totp", Path: "/ingest:" + added.Email,
		RawQuery: url.Values{"secret": {added.TOTPSecret}, "issuer": {"ingest"}}.Encode(),
	}
	if err := printQR(c.Out, link.String()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.Out, "Scan it with an authenticator app, or type %s\n"+
		"User %s is in %s. A running server takes it with SIGHUP.\n", added.TOTPSecret, added.ID, path)
	return err
}

func (c *Console) getenv(name string) string {
	for _, entry := range slices.Backward(c.Environ) {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

func newTOTP() string {
	secret := make([]byte, 20)
	_, _ = rand.Read(secret) // never fails: crypto/rand aborts the program instead
	return base32.StdEncoding.EncodeToString(secret)
}

// appendUser writes the whole file anew and renames it into place: whoever reads it
// finds the old one or the new one.
func appendUser(path string, added settings.User) error {
	users := []settings.User{}
	data, err := os.ReadFile(path) // #nosec G304 -- the operator names the file
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return err
	default:
		// The decoder's own words may quote a secret.
		if json.Unmarshal(data, &users, json.RejectUnknownMembers(true)) != nil {
			return fmt.Errorf("%s is no USERS_FILE; ingest check says where", path)
		}
	}
	if slices.ContainsFunc(users, func(u settings.User) bool { return strings.EqualFold(u.Email, added.Email) }) {
		return fmt.Errorf("%s has a user with this e-mail address already", path)
	}
	data, err = json.Marshal(append(users, added), jsontext.Multiline(true))
	if err != nil {
		return err
	}
	return replaceFile(path, append(data, '\n'))
}

func replaceFile(path string, data []byte) error {
	partial := path + ".new"
	// #nosec G304 -- beside the file that the operator names
	file, err := os.OpenFile(partial, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(partial, path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(partial))
	}
	return err
}

// printQR draws a code in half blocks: two modules to a character.
func printQR(w io.Writer, text string) error {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return err
	}
	size := code.Bounds().Dx()
	dark := func(x, y int) bool {
		if x < 0 || y < 0 || x >= size || y >= size {
			return false // the quiet zone
		}
		r, _, _, _ := code.At(x, y).RGBA()
		return r == 0
	}
	const quiet = 2
	var b strings.Builder
	for y := -quiet; y < size+quiet; y += 2 {
		for x := -quiet; x < size+quiet; x++ {
			// Light on a dark terminal: what is dark in the code is left empty.
			switch upper, lower := dark(x, y), dark(x, y+1); {
			case upper && lower:
				b.WriteByte(' ')
			case upper:
				b.WriteString("▄")
			case lower:
				b.WriteString("▀")
			default:
				b.WriteString("█")
			}
		}
		b.WriteByte('\n')
	}
	_, err = io.WriteString(w, b.String())
	return err
}
