package gatetest_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var code = regexp.MustCompile(`"([a-z]+(?:_[a-z]+)+)"`)

// TestCodesExist: a code that no gate has any more would let an attack pass for
// refused by the wrong gate, or never for refused.
func TestCodesExist(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/problems.md")
	require.NoError(t, err)
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	known := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range code.FindAllSubmatch(source, -1) {
			require.Regexp(t, "(?m)^### "+string(m[1])+"$", string(doc), file)
			known++
		}
	}
	require.Greater(t, known, 20)
}
