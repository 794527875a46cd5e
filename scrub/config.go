package scrub

import (
	"errors"
	"slices"
)

// Detector names what was recognised. It is also the label of the fixed
// replacement: "[email]".
type Detector string

// The built-in detectors. The documentation of the package gives the
// precision rule of each.
const (
	Email  Detector = "email"  // email addresses
	Card   Detector = "card"   // payment card numbers
	Token  Detector = "token"  // credentials: Bearer, Basic, JWT, vendor tokens, private keys
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

// Config configures a Scrubber. New copies it. The zero value turns every
// detector on.
type Config struct {
	_ [0]func() // keyed literals only; not comparable

	// Detectors are the detectors to use. Empty means all of them.
	Detectors []Detector
}

// Scrubber replaces personal data and secrets. It is immutable and safe for
// concurrent use; the zero value withholds everything it is given.
type Scrubber struct {
	filter  filter
	names   []Detector
	enabled [maxDetectors]bool
	tokens  [maxDetectors]string
	ready   bool
}

// New returns a Scrubber, or every problem of cfg joined.
func New(cfg Config) (*Scrubber, error) {
	s := &Scrubber{names: builtinNames[:]}
	var problems []error
	for _, d := range cfg.Detectors {
		i := slices.Index(builtinNames[:], d)
		if i < 0 {
			problems = append(problems,
				&ConfigError{Field: "Detectors", Value: string(d), Reason: "is not a detector"})
			continue
		}
		s.enabled[i] = true
	}
	if len(cfg.Detectors) == 0 {
		for i := range builtinNames {
			s.enabled[i] = true
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	for i, name := range s.names {
		s.tokens[i] = "[" + string(name) + "]"
	}
	s.compile()
	s.ready = true
	return s, nil
}

func (s *Scrubber) on(det int) bool { return s.enabled[det] }
