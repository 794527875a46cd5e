package scrub

// Class is how sensitive a value is. A struct declares the class of a field
// in its tag: `pii:"confidential"`.
type Class uint8

// The classes, in rising order.
const (
	Public       Class = iota + 1 // may be published
	Internal                      // may be logged and sent to the team's own tools
	Confidential                  // personal data: names, addresses, contacts
	Restricted                    // credentials, payment and health data, transcripts
)

var classNames = [...]string{
	Public: "public", Internal: "internal", Confidential: "confidential", Restricted: "restricted",
}

// String returns the name used in tags.
func (c Class) String() string {
	if int(c) < len(classNames) && c > 0 {
		return classNames[c]
	}
	return "unclassified"
}

// classOf returns the class that a tag names. A tag that names none is a
// mistake and counts as Restricted.
func classOf(tag string) Class {
	for c := Public; c <= Restricted; c++ {
		if tag == classNames[c] {
			return c
		}
	}
	return Restricted
}
