package privacy

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/opsmantik/sallyport"
)

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Activities writes the records of processing activities (GDPR Article 30) as a Markdown
// table: each declared action with its purpose, legal basis, persons, personal data,
// recipients and retention. Controller is the name and contact that the article asks for.
func (r *Register) Activities(w io.Writer, controller string) error {
	if r == nil || r.sealer == nil {
		return errNotConfigured
	}
	var b strings.Builder
	b.WriteString("# Records of processing activities: the audit log\n\n")
	b.WriteString("Controller: " + line(controller) + "\n\n")
	b.WriteString("| Activity | Purpose | Legal basis | Data subjects | Personal data | " +
		"Recipients | Erasure | Security |\n|---|---|---|---|---|---|---|---|\n")
	for _, name := range sortedNames(r.actions) {
		a := r.actions[name]
		sealed, security := a.personal(), "append-only, hashed, access by role"
		if sealed != "opaque ids" {
			security += "; sealed under a key of the person"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", line(name), line(a.Purpose),
			line(a.LegalBasis), line(a.Subjects), sealed, line(a.Recipients), line(a.Retention), security)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// personal lists what may identify somebody.
func (a Action) personal() string {
	list := []string{"opaque ids"}
	for _, name := range sortedNames(a.Fields) {
		if class := a.Fields[name]; class != sallyport.Public && class != sallyport.Internal {
			list = append(list, fmt.Sprintf("%s (%s)", line(name), class))
		}
	}
	if a.SealReason {
		list = append(list, "reason (sealed)")
	}
	return strings.Join(list, ", ")
}

// line is text as a cell of the table; an empty one is a gap that somebody has to fill.
func line(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return "**to be stated**"
	}
	return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(text)
}
