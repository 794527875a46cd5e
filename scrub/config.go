package scrub

import (
	"errors"
	"slices"
	"strings"
)

// Detector names what was recognised. It is also the label of the fixed
// replacement: "[email]".
type Detector string

// The built-in detectors. The documentation of the package gives the
// precision rule of each.
const (
	Email  Detector = "email"  // email addresses
	Card   Detector = "card"   // payment card numbers
	Token  Detector = "token"  // credentials: Bearer, Basic, JWT, vendor tokens, private keys, cookies
	Secret Detector = "secret" // the values of denied keys
	Phone  Detector = "phone"  // telephone numbers
	IBAN   Detector = "iban"   // bank accounts
	IP     Detector = "ip"     // IPv4 and IPv6 addresses
	SSN    Detector = "ssn"    // US social security numbers
)

// The order of the built-in detectors in Scrubber.names.
const (
	detEmail = iota
	detCard
	detToken
	detSecret
	detPhone
	detIBAN
	detIP
	detSSN
	builtin
)

var builtinNames = [builtin]Detector{Email, Card, Token, Secret, Phone, IBAN, IP, SSN}

// Custom is a detector of your own: a literal prefix, and a function that
// judges what follows it.
type Custom struct {
	// Name is the label of the replacement: lower-case letters and _.
	Name Detector
	// Prefix is what a value starts with: at least three bytes of ASCII that
	// does not begin with a digit.
	Prefix string
	// Match is given the text from the prefix on, at most 1024 bytes of it,
	// and returns the length of the value, or 0. It must not keep the text
	// and must be safe for concurrent use and not panic. It is not called
	// for text that a built-in detector took already.
	Match func(text string) int
}

// Config configures a Scrubber. New copies it. The zero value turns every
// built-in detector on and replaces with fixed labels.
type Config struct {
	_ [0]func() // keyed literals only; not comparable

	// Detectors are the built-in detectors to use. Empty means all of them;
	// Secret covers the denied keys.
	Detectors []Detector
	// Custom are further detectors, at most 16.
	Custom []Custom

	// Keys are further denied keys, besides the published list: "internal
	// code" denies internal_code, internalCode and Internal-Code. The last
	// word needs three letters.
	Keys []string
	// Allow are values that the Email, Phone and IP detectors leave alone,
	// such as your own support address, whatever their case. It never
	// allows a card, a token, or anything below a denied key.
	Allow []string

	// PseudonymKeys, if set, make replacements tell values apart:
	// "[email:kbnq...]" is a keyed hash of the normalised value, equal for
	// every spelling of one value. Each key has at least 32 random bytes.
	// The first key is used; the others are for Pseudonyms after a rotation.
	PseudonymKeys [][]byte

	// Clearance is the highest class that may pass Value and Handler; the
	// default is Internal.
	Clearance Class
	// Strict makes Value and Handler treat a struct field without a pii tag
	// as Restricted. Without it such a field is scanned like text.
	Strict bool
}

// Scrubber replaces personal data and secrets. It is immutable and safe for
// concurrent use; the zero value withholds everything it is given.
type Scrubber struct {
	filter    filter
	names     []Detector
	enabled   [maxDetectors]bool
	heads     []head
	custom    []Custom
	allow     map[string]bool
	keys      []pseudonymKey
	clearance Class
	strict    bool
	ready     bool
}

// New returns a Scrubber, or every problem of cfg joined.
func New(cfg Config) (*Scrubber, error) {
	s := &Scrubber{
		names:     slices.Clone(builtinNames[:]),
		heads:     slices.Clone(heads[:]),
		custom:    slices.Clone(cfg.Custom),
		clearance: cfg.Clearance,
		strict:    cfg.Strict,
		ready:     true,
	}
	err := errors.Join(s.useDetectors(cfg.Detectors), s.useCustom(cfg.Custom),
		s.useKeys(cfg.Keys), s.usePseudonyms(cfg.PseudonymKeys), s.useClearance(cfg.Clearance))
	if err != nil {
		return nil, err
	}
	if len(cfg.Allow) > 0 {
		s.allow = make(map[string]bool, len(cfg.Allow))
		for _, v := range cfg.Allow {
			s.allow[strings.ToLower(v)] = true
		}
	}
	s.compile()
	return s, nil
}

func (s *Scrubber) useDetectors(all []Detector) error {
	var problems []error
	if len(all) == 0 {
		all = builtinNames[:]
	}
	for _, d := range all {
		i := slices.Index(builtinNames[:], d)
		if i < 0 {
			problems = append(problems, &ConfigError{"Detectors", string(d), "is not a built-in detector"})
			continue
		}
		s.enabled[i] = true
	}
	return errors.Join(problems...)
}

func (s *Scrubber) useCustom(all []Custom) error {
	var problems []error
	bad := func(value, reason string) {
		problems = append(problems, &ConfigError{"Custom", value, reason})
	}
	if len(all) > maxDetectors-builtin {
		bad("", "has more than 16 detectors")
	}
	for _, c := range all {
		name := string(c.Name)
		switch {
		case name == "" || strings.Trim(name, lowerChars+"_") != "":
			bad(name, "is not a name of lower-case letters and _")
		case slices.Contains(s.names, c.Name):
			bad(name, "is taken")
		case len(c.Prefix) < 3 || len(c.Prefix) > 64 || digit.has(c.Prefix[0]) || !ascii(c.Prefix):
			bad(name, "needs a prefix of 3 to 64 ASCII bytes that does not begin with a digit")
		case c.Match == nil:
			bad(name, "needs a Match function")
		}
		s.names = append(s.names, c.Name)
	}
	return errors.Join(problems...)
}

func (s *Scrubber) useKeys(keys []string) error {
	var problems []error
	for _, k := range keys {
		words := keyWords(k)
		if len(words) == 0 || len(words[len(words)-1]) < 3 {
			problems = append(problems,
				&ConfigError{"Keys", k, "needs a last word of at least three letters"})
			continue
		}
		h := head{word: words[len(words)-1], rule: ruleAny, det: detSecret}
		if len(words) > 1 {
			h.after = " " + words[len(words)-2] + " "
		}
		s.heads = append(s.heads, h)
	}
	return errors.Join(problems...)
}

func (s *Scrubber) useClearance(c Class) error {
	switch {
	case c == 0:
		s.clearance = Internal
	case c > Restricted:
		return &ConfigError{"Clearance", "", "is not a class"}
	}
	return nil
}

// keyWords splits a key into lower-case words.
func keyWords(key string) []string {
	var words []string
	for end := len(key); ; {
		w := wordBefore(key, end)
		if w.start == w.end {
			break
		}
		words = append(words, strings.ToLower(key[w.start:w.end]))
		end = w.start
	}
	slices.Reverse(words)
	return words
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func (s *Scrubber) on(det int) bool { return s.enabled[det] }
