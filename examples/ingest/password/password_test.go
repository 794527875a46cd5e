package password_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/opsmantik/sallyport/examples/ingest/password"
)

func TestHashMatchesItsPasswordOnly(t *testing.T) {
	t.Parallel()
	made := password.New("correct horse")
	read, err := password.Parse(made.PHC())
	require.NoError(t, err)
	require.True(t, read.Matches("correct horse"))
	require.False(t, read.Matches("correct horsf"))
	require.False(t, read.Matches(""))
	require.False(t, read.Matches(strings.Repeat("x", password.MaxLength+1)))
	require.NotEqual(t, made.PHC(), password.New("correct horse").PHC(), "each hash has its own salt")
}

// The argon2 reference implementation's test, with m=2^16 and t=2.
func TestHashOfAnotherImplementation(t *testing.T) {
	t.Parallel()
	h, err := password.Parse("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	require.NoError(t, err)
	require.True(t, h.Matches("password"))
}

func TestDecoyMatchesNothing(t *testing.T) {
	t.Parallel()
	real := password.New("password")
	decoy := password.Decoy(real)
	parameters := func(h *password.Hash) string { return strings.Split(h.PHC(), "$")[3] }
	require.Equal(t, parameters(real), parameters(decoy))
	require.False(t, decoy.Matches(""))
	require.False(t, decoy.Matches("password"))
	require.NotEqual(t, decoy.PHC(), password.Decoy(real).PHC())
	_, err := password.Parse(decoy.PHC())
	require.NoError(t, err, "it has to cost what a real one costs")
}

func TestHashPrintsRedacted(t *testing.T) {
	t.Parallel()
	h := password.New("correct horse")
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		require.Equal(t, "[password hash]", fmt.Sprintf(format, h), format)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const salt, key = "c29tZXNhbHQ", "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for name, phc := range map[string]string{
		"empty":              "",
		"plain":              "password",
		"argon2i":            "$argon2i$v=19$m=65536,t=2,p=1$" + salt + "$" + key,
		"old version":        "$argon2id$v=16$m=65536,t=2,p=1$" + salt + "$" + key,
		"too little memory":  "$argon2id$v=19$m=1024,t=2,p=1$" + salt + "$" + key,
		"too much memory":    "$argon2id$v=19$m=4194304,t=2,p=1$" + salt + "$" + key,
		"no passes":          "$argon2id$v=19$m=65536,t=0,p=1$" + salt + "$" + key,
		"no threads":         "$argon2id$v=19$m=65536,t=2,p=0$" + salt + "$" + key,
		"another spelling":   "$argon2id$v=19$m=065536,t=2,p=1$" + salt + "$" + key,
		"trailing parameter": "$argon2id$v=19$m=65536,t=2,p=1,x=1$" + salt + "$" + key,
		"short salt":         "$argon2id$v=19$m=65536,t=2,p=1$c29t$" + key,
		"padded":             "$argon2id$v=19$m=65536,t=2,p=1$" + salt + "=$" + key,
		"short key":          "$argon2id$v=19$m=65536,t=2,p=1$" + salt + "$c29t",
		"line break":         "$argon2id$v=19$m=65536,t=2,p=1$" + salt + "$CTF\r\nhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"extra part":         "$argon2id$v=19$m=65536,t=2,p=1$" + salt + "$" + key + "$",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := password.Parse(phc)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "CTFh")
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Fuzz(func(t *testing.T, phc string) {
		if h, err := password.Parse(phc); err == nil {
			require.Equal(t, phc, h.PHC(), "one spelling only")
		}
	})
}
