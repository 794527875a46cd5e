package pages

import (
	"fmt"
	"image/color"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/boombuler/barcode/qr"
	"github.com/pquerna/otp/totp"
)

// Demo is what the sign-in page of a demo tells everybody. There is one person on one
// machine, and nothing to steal.
type Demo struct {
	Email    string
	Password string // empty: printed on the first start, and known to nobody now
	Secret   string // of the authenticator, base32
	// Origins are where the demo is reached. A page elsewhere that has got its name
	// to lead here is told nothing.
	Origins []string
}

// demoView is the demo at a moment.
type demoView struct {
	Demo
	Code string // of an authenticator
	QR   square
}

// view is what is shown to who asks a host by name.
func (d *Demo) view(host string, now time.Time) *demoView {
	if d == nil || !slices.Contains(d.Origins, "http://"+host) {
		return nil
	}
	code, err := totp.GenerateCode(d.Secret, now)
	if err != nil {
		return nil
	}
	enrolment, err := enrolmentQR(d.Email, d.Secret)
	if err != nil {
		return nil
	}
	return &demoView{Demo: *d, Code: code, QR: enrolment}
}

// square is a QR code as the d attribute of an SVG path, one unit per module.
type square struct {
	Size int // with the quiet zone
	Path string
}

// quiet is how wide the free space around a QR code is, in modules (ISO/IEC 18004).
const quiet = 4

// enrolmentQR is what an authenticator scans to learn a secret.
func enrolmentQR(email, secret string) (square, error) {
	u := url.URL{
		Scheme: "otpauth", Host: "totp", Path: "/sallyport:" + email,
		RawQuery: url.Values{"secret": {secret}, "issuer": {"sallyport"}}.Encode(),
	}
	code, err := qr.Encode(u.String(), qr.M, qr.Auto)
	if err != nil {
		return square{}, err
	}
	size := code.Bounds().Dx()
	var d strings.Builder
	for y := range size {
		for x := 0; x < size; x++ {
			run := 0
			for x+run < size && isBlack(code.At(x+run, y)) {
				run++
			}
			if run > 0 {
				_, _ = fmt.Fprintf(&d, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, run, run)
				x += run
			}
		}
	}
	return square{Size: size + 2*quiet, Path: d.String()}, nil
}

func isBlack(c color.Color) bool {
	red, _, _, _ := c.RGBA()
	return red == 0
}
