package repocheck_test

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A block of Go in README.md or below docs names the file that its lines stand in,
// so that what a reader copies is compiled and tested:
//
//	```go examples/handbook/start/main.go
//
// The lines have to stand there one after the other, however deep they are indented
// there. A line "// ..." in the block leaves some out.

// checkSnippets returns one line per block of Go that names no file, or that the
// file does not have.
func checkSnippets(name, doc string, read func(file string) (string, error)) []string {
	var problems []string
	lines := strings.Split(doc, "\n")
	for i := 0; i < len(lines); i++ {
		fence := strings.TrimSpace(lines[i])
		if !strings.HasPrefix(fence, "```") || fence == "```" {
			continue
		}
		end := i + 1
		for end < len(lines) && strings.TrimSpace(lines[end]) != "```" {
			end++
		}
		info := strings.Fields(strings.TrimPrefix(fence, "```"))
		if len(info) > 0 && info[0] == "go" {
			if problem := checkSnippet(info[1:], lines[i+1:end], read); problem != "" {
				problems = append(problems, fmt.Sprintf("%s:%d: %s", name, i+1, problem))
			}
		}
		i = end
	}
	return problems
}

func checkSnippet(info, snippet []string, read func(file string) (string, error)) string {
	if len(info) != 1 {
		return "the block does not name the file that it is from"
	}
	text, err := read(info[0])
	if err != nil {
		return err.Error()
	}
	source := trimmed(strings.Split(text, "\n"))
	for part := range splitAt(trimmed(snippet), "// ...") {
		at := index(source, part)
		if at < 0 {
			return fmt.Sprintf("%s does not have these lines: %q", info[0], part[0])
		}
		source = source[at+len(part):]
	}
	return ""
}

// trimmed drops indentation, which differs with where a block is cut out.
func trimmed(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = strings.TrimSpace(line)
	}
	return out
}

// splitAt yields what stands between the lines that equal sep, empty parts left out.
func splitAt(lines []string, sep string) func(func([]string) bool) {
	return func(yield func([]string) bool) {
		for len(lines) > 0 {
			n := slices.Index(lines, sep)
			if n < 0 {
				n = len(lines)
			}
			if n > 0 && !yield(lines[:n]) {
				return
			}
			lines = lines[min(n+1, len(lines)):]
		}
	}
}

// index returns where the lines of part begin in lines, or -1.
func index(lines, part []string) int {
	for i := range len(lines) - len(part) + 1 {
		if slices.Equal(lines[i:i+len(part)], part) {
			return i
		}
	}
	return -1
}

func TestSnippets(t *testing.T) {
	t.Parallel()
	tree := os.DirFS(root)
	for _, name := range pages(t, tree) {
		doc, err := fs.ReadFile(tree, name)
		require.NoError(t, err)
		requireNone(t, checkSnippets(name, string(doc), func(file string) (string, error) {
			text, err := fs.ReadFile(tree, file)
			return string(text), err
		}))
	}
}

// pages are README.md and what is below docs.
func pages(t *testing.T, tree fs.FS) []string {
	t.Helper()
	all := []string{"README.md"}
	require.NoError(t, fs.WalkDir(tree, "docs", func(p string, _ fs.DirEntry, err error) error {
		if path.Ext(p) == ".md" {
			all = append(all, p)
		}
		return err
	}))
	return all
}

func TestSnippetsCatchViolations(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.go": "package a\n\nfunc f() {\n\tone()\n\ttwo()\n\tthree()\n}\n"}
	read := func(file string) (string, error) {
		if text, ok := files[file]; ok {
			return text, nil
		}
		return "", fmt.Errorf("no %s", file)
	}
	rows := []struct{ name, doc, want string }{
		{"whole", "```go a.go\none()\ntwo()\n```", ""},
		{"left out", "```go a.go\none()\n// ...\nthree()\n```", ""},
		{"other languages", "```sh\nls\n```\n```\none()\n```", ""},
		{"no file", "text\n```go\none()\n```", "d.md:2: the block does not name the file that it is from"},
		{"unknown file", "```go b.go\none()\n```", "d.md:1: no b.go"},
		{"other lines", "```go a.go\none()\nthree()\n```", `d.md:1: a.go does not have these lines: "one()"`},
		{"other order", "```go a.go\ntwo()\n// ...\none()\n```", `d.md:1: a.go does not have these lines: "one()"`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, row.want, strings.Join(checkSnippets("d.md", row.doc, read), "\n"))
		})
	}
}
