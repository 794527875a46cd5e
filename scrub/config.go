package scrub

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
	"github.com/opsmantik/sallyport/scrub/internal/engine"
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

	// These are used only where Config.Detectors names them.

	MAC    Detector = "mac"    // hardware addresses of network interfaces
	IMEI   Detector = "imei"   // serial numbers of telephones, after their name
	Wallet Detector = "wallet" // addresses of Bitcoin and Ethereum
)

// Preset is a choice of detectors for one use. See [Config.Preset].
type Preset string

// The presets.
const (
	// Logs leaves out phone and ssn, which cost the most legible lines for the
	// fewest finds in the logs of a service.
	Logs Preset = "logs"
	// Errors is every detector from email to ssn: what an error tracker of
	// another company gets. It is the default.
	Errors Preset = "errors"
	// Everything is every detector there is, and sets Strict.
	Everything Preset = "everything"
)

// Custom is a detector of your own: a literal prefix, and a function that
// judges what follows it.
type Custom struct {
	// Name is the label of the replacement: lower-case letters and _.
	Name Detector
	// Prefix is what a value starts with: 3 to 64 bytes of ASCII.
	Prefix string
	// Match is given the text from the prefix on, at most 1024 bytes of it,
	// and returns the length of the value, or 0. It must not keep the text
	// and must be safe for concurrent use and not panic. It is not called
	// for text that a built-in detector took already.
	Match func(text string) int
}

// Config configures a Scrubber. New copies it. The zero value turns the
// detectors of the preset Errors on and replaces with fixed labels.
type Config struct {
	_ [0]func() // keyed literals only; not comparable

	// Preset chooses the detectors where Detectors is empty. Permitted: "", Logs,
	// Errors, Everything.
	Preset Preset
	// Detectors are the built-in detectors to use instead of a preset's. Secret
	// covers the denied keys.
	Detectors []Detector
	// Custom are further detectors, at most 16.
	Custom []Custom

	// Keys are further denied keys, besides the published list: "internal
	// code" denies internal_code, internalCode and Internal-Code. The last
	// word needs three letters.
	Keys []string
	// Allow are values that the Email, Phone and IP detectors leave alone: a
	// value, whatever its case; a network; a domain, with those below it. None
	// of them ever allows a card, a token, or anything below a denied key.
	// Permitted: "support@example.com", "10.0.0.0/8", "@example.com".
	// Refused: "", "10.0.0.0/33", "@".
	Allow []string
	// AllowKeys are denied keys that are none in your system, as whole names:
	// "session" keeps the value of session, but not of user_session.
	AllowKeys []string
	// AllowRules switches single rules off, by the name that [Span.Rule] gives.
	// Permitted: "token.jwt", "phone.labelled", "secret.salt". Refused: what is
	// no rule.
	AllowRules []string

	// PseudonymKeys, if set, make replacements tell values apart:
	// "[email:kbnq...]" is a keyed hash of the normalised value, equal for
	// every spelling of one value. Each key has at least 32 random bytes.
	// The first key is used; the others are for Pseudonyms after a rotation.
	PseudonymKeys [][]byte

	// Clearance is the highest class that may pass Value and Handler; the
	// default is sallyport.Internal.
	Clearance sallyport.Class
	// Strict makes Value and Handler treat a struct field without a pii tag
	// as Restricted. Without it such a field is scanned like text.
	Strict bool
}

// Scrubber replaces personal data and secrets. It is immutable and safe for
// concurrent use; the zero value withholds everything it is given.
type Scrubber struct {
	engine    *engine.Engine // nil in the zero value
	names     []Detector
	keys      []pseudonymKey
	clearance sallyport.Class
	strict    bool
}

// New returns a Scrubber, or every problem of cfg joined.
func New(cfg Config) (*Scrubber, error) {
	s := &Scrubber{clearance: cfg.Clearance, strict: cfg.Strict || cfg.Preset == Everything}
	for _, name := range engine.Names {
		s.names = append(s.names, Detector(name))
	}
	var ec engine.Config
	problems := configerr.For("scrub")
	ec.Enabled = enabled(cfg, problems)
	ec.Custom = s.useCustom(cfg.Custom, problems)
	ec.Keys = deniedKeys(cfg.Keys, problems)
	ec.Except = exceptions(cfg, problems)
	s.usePseudonyms(cfg.PseudonymKeys, problems)
	s.useClearance(cfg.Clearance, problems)
	if len(s.keys) > 0 {
		ec.Label = s.current
	}
	s.engine = engine.New(ec)
	known := s.engine.Rules()
	for i, rule := range cfg.AllowRules {
		if !known[rule] {
			problems.Add(fmt.Sprintf("AllowRules[%d]", i), rule, sallyport.ConfigUnknown, "is no rule")
		}
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

// exceptions reads Allow, AllowKeys and AllowRules.
func exceptions(cfg Config, problems *configerr.List) (x engine.Exceptions) {
	for i, v := range cfg.Allow {
		v = strings.ToLower(v)
		network, err := netip.ParsePrefix(v)
		switch {
		case err == nil:
			x.Networks = append(x.Networks, network.Masked())
		case v == "" || v == "@" || strings.Contains(v, "/"):
			problems.Add(fmt.Sprintf("Allow[%d]", i), v, sallyport.ConfigMalformed,
				"is no value, network or domain: want ann@example.com, 10.0.0.0/8 or @example.com")
		case v[0] == '@':
			x.Domains = append(x.Domains, v[1:])
		default:
			x.Values = with(x.Values, v)
		}
	}
	for i, k := range cfg.AllowKeys {
		words := engine.Words(k)
		if len(words) == 0 {
			problems.Add(fmt.Sprintf("AllowKeys[%d]", i), k, sallyport.ConfigMalformed, "is no name")
		}
		x.Keys = with(x.Keys, strings.Join(words, " "))
	}
	for _, rule := range cfg.AllowRules {
		x.Rules = with(x.Rules, rule)
	}
	return x
}

func with(set map[string]bool, v string) map[string]bool {
	if set == nil {
		set = map[string]bool{}
	}
	set[v] = true
	return set
}

func enabled(cfg Config, problems *configerr.List) (on [engine.Builtin]bool) {
	for i, d := range cfg.Detectors {
		det := slices.Index(engine.Names[:], string(d))
		if det < 0 {
			problems.Add(fmt.Sprintf("Detectors[%d]", i), string(d), sallyport.ConfigUnknown,
				"is not a built-in detector")
			continue
		}
		on[det] = true
	}
	if len(cfg.Detectors) > 0 {
		return on
	}
	for det := range on {
		switch cfg.Preset {
		case Logs:
			on[det] = det < engine.MAC && det != engine.Phone && det != engine.SSN
		case Errors, "":
			on[det] = det < engine.MAC
		case Everything:
			on[det] = true
		}
	}
	if !slices.Contains([]Preset{"", Logs, Errors, Everything}, cfg.Preset) {
		problems.Add("Preset", string(cfg.Preset), sallyport.ConfigUnknown,
			`is not a preset: want "logs", "errors" or "everything"`)
	}
	return on
}

func (s *Scrubber) useCustom(all []Custom, problems *configerr.List) (custom []engine.Custom) {
	if len(all) > engine.MaxDetectors-engine.Builtin {
		problems.Add("Custom", "", sallyport.ConfigOutOfRange, "has more than 16 detectors")
	}
	for i, c := range all {
		name := string(c.Name)
		bad := func(field, code, fix string) {
			problems.Add(fmt.Sprintf("Custom[%d].%s", i, field), name, code, fix)
		}
		switch {
		case name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "":
			bad("Name", sallyport.ConfigMalformed, "is not a name of lower-case letters and _")
		case slices.Contains(s.names, c.Name):
			bad("Name", sallyport.ConfigDuplicate, "is taken")
		case len(c.Prefix) < 3 || len(c.Prefix) > 64 || strings.ContainsFunc(c.Prefix, notASCII):
			bad("Prefix", sallyport.ConfigMalformed, "needs a prefix of 3 to 64 ASCII bytes")
		case c.Match == nil:
			bad("Match", sallyport.ConfigRequired, "needs a Match function")
		}
		s.names = append(s.names, c.Name)
		custom = append(custom, engine.Custom{Name: name, Prefix: c.Prefix, Match: c.Match})
	}
	return custom
}

func deniedKeys(keys []string, problems *configerr.List) (denied [][]string) {
	for i, k := range keys {
		words := engine.Words(k)
		if len(words) == 0 || len(words[len(words)-1]) < 3 {
			problems.Add(fmt.Sprintf("Keys[%d]", i), k, sallyport.ConfigMalformed,
				"needs a last word of at least three letters")
			continue
		}
		denied = append(denied, words)
	}
	return denied
}

func notASCII(r rune) bool { return r >= utf8.RuneSelf }

func (s *Scrubber) useClearance(c sallyport.Class, problems *configerr.List) {
	switch {
	case c == sallyport.Unclassified:
		s.clearance = sallyport.Internal
	case c > sallyport.Restricted:
		problems.Add("Clearance", "", sallyport.ConfigUnknown, "is not a class")
	}
}
