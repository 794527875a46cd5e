package repocheck_test

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

var (
	link = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	// What a heading's anchor leaves out, as GitHub makes it.
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N}\- _]`)
)

// checkLinks returns one line per link of a page to a file, or to a heading of one,
// that is not there. Links to other hosts are not followed.
func checkLinks(tree fs.FS, page, doc string) []string {
	var problems []string
	for _, m := range link.FindAllStringSubmatch(doc, -1) {
		target, fragment, _ := strings.Cut(m[1], "#")
		if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
			continue
		}
		file := page
		if target != "" {
			file = path.Join(path.Dir(page), target)
		}
		if _, err := fs.Stat(tree, file); err != nil {
			problems = append(problems, fmt.Sprintf("%s: %s is not there", page, m[1]))
			continue
		}
		if fragment == "" || path.Ext(file) != ".md" {
			continue
		}
		text, err := fs.ReadFile(tree, file)
		if err != nil || !anchors(string(text))[fragment] {
			problems = append(problems, fmt.Sprintf("%s: %s has no such heading", page, m[1]))
		}
	}
	return problems
}

func anchors(doc string) map[string]bool {
	all := map[string]bool{}
	for line := range strings.Lines(doc) {
		if text, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && line[0] == '#' {
			text = notInAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(text)), "")
			all[strings.ReplaceAll(text, " ", "-")] = true
		}
	}
	return all
}

func TestLinks(t *testing.T) {
	t.Parallel()
	tree := os.DirFS(root)
	for _, page := range append(pages(t, tree), "SECURITY.md", "CHANGELOG.md") {
		doc, err := fs.ReadFile(tree, page)
		require.NoError(t, err)
		requireNone(t, checkLinks(tree, page, string(doc)))
	}
}

func TestLinksCatchViolations(t *testing.T) {
	t.Parallel()
	tree := fstest.MapFS{
		"docs/a.md": {Data: []byte("# One, and `two`\n")},
		"b.go":      {Data: []byte("package b\n")},
	}
	rows := []struct{ doc, want string }{
		{"[x](a.md) [x](a.md#one-and-two) [x](../b.go) [x](https://example.com/none)", ""},
		{"[x](c.md)", "docs/a.md: c.md is not there"},
		{"[x](a.md#three)", "docs/a.md: a.md#three has no such heading"},
		{"[x](#three)", "docs/a.md: #three has no such heading"},
	}
	for _, row := range rows {
		require.Equal(t, row.want, strings.Join(checkLinks(tree, "docs/a.md", row.doc), "\n"), row.doc)
	}
}
