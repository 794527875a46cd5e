package sallyport

// Class is how sensitive a value is. The zero Class is unclassified, and
// treated as restricted: a value that nobody thought about must not leak.
type Class uint8

// The classes, in rising order of sensitivity.
const (
	Unclassified Class = iota // nobody has said; treated as Restricted
	Public                    // may be published
	Internal                  // may be logged and sent to the team's own tools
	Confidential              // personal data: names, addresses, contacts
	Restricted                // credentials, payment and health data, transcripts
)

var classNames = [...]string{"unclassified", "public", "internal", "confidential", "restricted"}

// String returns the name in lower case.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return classNames[Unclassified]
}

// ParseClass returns the class of that name ("public", "internal",
// "confidential", "restricted"), or Restricted and false.
func ParseClass(name string) (Class, bool) {
	for c := Public; c <= Restricted; c++ {
		if name == classNames[c] {
			return c, true
		}
	}
	return Restricted, false
}
