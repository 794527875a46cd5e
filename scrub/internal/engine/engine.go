package engine

import (
	"unsafe"
)

// The built-in detectors, in the order of [Names].
const (
	Email = iota
	Card
	Token
	Secret
	Phone
	IBAN
	IP
	SSN
	MAC
	IMEI
	Wallet
	Builtin // how many there are
)

// Names are the labels of the built-in detectors; those from MAC on are for who
// asks for them.
var Names = [Builtin]string{
	"email", "card", "token", "secret", "phone", "iban", "ip", "ssn",
	"mac", "imei", "wallet",
}

// MaxDetectors bounds the built-in and the custom detectors together.
const MaxDetectors = Builtin + 16

// Counts says how many values each detector replaced.
type Counts [MaxDetectors]int

// Total returns the sum.
func (c *Counts) Total() int {
	total := 0
	for _, n := range c {
		total += n
	}
	return total
}

// Custom is a detector that is not built in.
type Custom struct {
	Name   string
	Prefix string
	Match  func(text string) int
}

// Config says what an Engine looks for.
type Config struct {
	Enabled [Builtin]bool
	Custom  []Custom
	// Keys are further denied keys, each as its words in lower case.
	Keys [][]string
	// Except is what stays.
	Except Exceptions
	// Label appends what stands in for a value; nil means the fixed label.
	Label func(dst []byte, det int, value string) []byte
}

// Engine is immutable and safe for concurrent use.
type Engine struct {
	filter  filter
	names   []string
	enabled [Builtin]bool
	heads   []head
	byWord  map[string][]int // indexes into heads
	endings byteSet          // of the heads
	long    []int            // heads that may end a longer word
	custom  []Custom
	except  Exceptions
	// stepwise forbids to skip several groups of digits at once, because a
	// detector other than those of numbers may begin at one.
	stepwise bool
	label    func(dst []byte, det int, value string) []byte
}

// New returns an Engine for a Config that package scrub has checked.
func New(cfg Config) *Engine {
	e := &Engine{
		enabled: cfg.Enabled, custom: cfg.Custom, except: cfg.Except, label: cfg.Label,
		names: append([]string{}, Names[:]...),
	}
	e.stepwise = e.on(MAC) || e.on(Wallet)
	for _, c := range cfg.Custom {
		e.names = append(e.names, c.Name)
		e.stepwise = e.stepwise || c.Prefix != "" && digit.has(c.Prefix[0])
	}
	e.useNames(cfg.Keys)
	e.compile()
	return e
}

// Append appends text to dst with every value replaced.
func (e *Engine) Append(dst []byte, text string, counts *Counts) []byte {
	sc := scanner{e: e, text: text, dst: dst, counts: *counts}
	sc.scan(0, len(text))
	sc.finish()
	*counts = sc.counts
	return sc.dst
}

// String returns text with every value replaced, without an allocation where
// there is none.
func (e *Engine) String(text string, counts *Counts) string {
	return e.scrub(text, false, counts)
}

func (e *Engine) scrub(text string, phones bool, counts *Counts) string {
	sc := scanner{e: e, text: text, counts: *counts, labels: phones}
	sc.scan(0, len(text))
	if sc.done == 0 && !sc.held {
		return text
	}
	sc.finish()
	*counts = sc.counts
	return string(sc.dst)
}

// Below returns text as it may stand below key.
func (e *Engine) Below(key, text string, counts *Counts) string {
	if det, denied := e.Denies(key, text); denied {
		counts[det]++
		return string(e.Replacement(nil, det, text))
	}
	return e.scrub(text, phoneLabel(key, len(key)), counts)
}

// DeniesTree reports whether key is denied, whatever it holds, and which
// detector says so.
func (e *Engine) DeniesTree(key string) (det int, denied bool) { return e.Denies(key, anyTree) }

// anyTree stands for an object of which nothing is known.
const anyTree = "{...}"

// Whole reports whether what a denied key holds goes whole. Names that are often
// harmless, such as session and auth, lose only the leaves that look like
// credentials.
func (e *Engine) Whole(key string) bool {
	h := e.judge(key)
	return h != nil && h.rule != ruleOpaque
}

// IsName and IsValue tell the members of an object that says in one member
// what another holds: {"name":"DB_PASSWORD","value":"x"}.
func IsName(key string) bool  { return nameMembers.has(key) }
func IsValue(key string) bool { return valueMembers.has(key) }

var (
	nameMembers  = wordsOf("name key k field header variable env parameter param")
	valueMembers = wordsOf("value val v")
)

// Denies reports whether text must not stand below key, and which detector
// says so.
func (e *Engine) Denies(key, text string) (det int, denied bool) {
	h := e.judge(key)
	if h == nil || !e.on(h.det) || text == "" || e.isReplacement(text) || !h.denies(text, place{}) {
		return 0, false
	}
	return h.det, true
}

// Replacement appends what stands in for a value of detector det.
func (e *Engine) Replacement(dst []byte, det int, value string) []byte {
	if e.label != nil {
		return e.label(dst, det, value)
	}
	return append(append(append(dst, '['), e.names[det]...), ']')
}

// Name returns the label of a detector.
func (e *Engine) Name(det int) string { return e.names[det] }

func (e *Engine) on(det int) bool { return e.enabled[det] }

// Unsafe returns b as a string. The caller promises that b does not change
// while the string is in use.
func Unsafe(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) // #nosec G103 -- see above
}

// custom examines a prefix of Config.Custom at i.
func (sc *scanner) custom(c, i int) int {
	n := sc.e.custom[c].Match(sc.src[i:min(len(sc.src), i+maxCustomBytes)])
	if n <= 0 || n > maxCustomBytes || i+n > len(sc.src) {
		return i
	}
	return sc.found(span{start: i, end: i + n, det: Builtin + c, rule: sc.e.names[Builtin+c]})
}

const maxCustomBytes = 1024

// Text returns text, which stands below key, as String does: key is no reason
// to deny it, but may say that a telephone number follows.
func (e *Engine) Text(key, text string, counts *Counts) string {
	return e.scrub(text, phoneLabel(key, len(key)), counts)
}
