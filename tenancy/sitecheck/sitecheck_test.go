package sitecheck_test

import (
	"os"
	"strings"
	"testing"

	"github.com/opsmantik/sallyport/tenancy/sitecheck"
	"golang.org/x/tools/go/analysis/analysistest"
)

// TestSeededHandlers: every handler has its mistake on the line that says so, and the
// functions of package clean have none.
func TestSeededHandlers(t *testing.T) {
	analysistest.Run(t, analysistest.TestData(), sitecheck.Analyzer, "handlers", "clean", "forge")
}

// TestEnoughAreSeeded keeps the number honest.
func TestEnoughAreSeeded(t *testing.T) {
	text, err := os.ReadFile("testdata/src/handlers/handlers.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "// want `"); n < 60 {
		t.Errorf("%d mistakes are seeded, want at least 60", n)
	}
}
