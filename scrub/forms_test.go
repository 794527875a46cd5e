package scrub_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/scrub"
)

// Forms that another author's corpus had and the frozen one had not.
var otherForms = []struct {
	name, in, out string
}{
	{"XML attribute", `<add key="password" value="Galata17x"/>`, `<add key="password" value="[secret]"/>`},
	{"Rust option", `password: Some("Galata17x")`, `password: Some("[secret]")`},
	{"Python bytes", `{'password': b'Galata17x'}`, `{'password': b'[secret]'}`},
	{"SQL role", `ALTER USER app PASSWORD 'Galata17x'`, `ALTER USER app PASSWORD '[secret]'`},
	{"form part", "name=\"password\"\r\n\r\nGalata17x\r\n--b", "name=\"password\"\r\n\r\n[secret]\r\n--b"},
	{"glued", "PGPASSWORD=Galata17x", "PGPASSWORD=[secret]"},
	{"bounce address", "from bounces+17-ann=a.test.org@b.test.net ok", "from [email] ok"},
	{"assignment", "to=ann.b@b.test.net", "to=[email]"},
	{"label in Russian", "телефон: 672 840 857", "телефон: [phone]"},
	{"label in Japanese", "電話：13833427407", "電話：[phone]"},
	{"quote outside ASCII", "«Bearer 1jvrmusMDpPRwmeeuzbd5JF0»", "«Bearer [token]»"},
	{"German mobile", "ruf 0151-95536740 an", "ruf [phone] an"},

	{"postal code", "ZIP 04086-1582", ""},
	{"exponent", "1.779587108e+09\t2024", ""},
	{"hardware address", "0242.4030.94be", ""},
	{"order", "112-5551234-7654321", ""},
	{"release", "/opt/app-1.2.3.4/lib", ""},
	{"count and timestamp", "5076 1778899062496", ""},
	{"byte range", "bytes 434416-9572334/24616422", ""},
	{"resource name", "arn:aws:iam::501812345673:role/app", ""},
	{"registry", "501812345673.dkr.ecr.eu-west-1.amazonaws.com/app", ""},
	{"prose", "password 'must not be empty'", ""},
}

func TestOtherForms(t *testing.T) {
	t.Parallel()
	s, err := scrub.New(scrub.Config{})
	require.NoError(t, err)
	for _, tt := range otherForms {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := tt.out
			if want == "" {
				want = tt.in
			}
			out, _ := s.String(tt.in)
			require.Equal(t, want, out)
			again, _ := s.String(out)
			require.Equal(t, out, again, "idempotent")
		})
	}
}
