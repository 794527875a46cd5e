package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFixture(t *testing.T) {
	o := options{root: "testdata/fixture", timeout: 10 * time.Second, workers: 2, skip: "^$"}
	r, err := mutate(t.Context(), o, ".", map[string]string{
		"./fixture.go: operator: n > limit -> n >= limit": "20 is 20 either way",
	})
	if err != nil {
		t.Fatal(err)
	}
	var alive []string
	for _, line := range r.alive {
		if !strings.Contains(line, "fixture.go: ") {
			t.Errorf("no file in %q", line)
		}
		if !strings.Contains(line, "(line 3") { // not in Untested
			alive = append(alive, strings.TrimPrefix(line, "./fixture.go: "))
		}
	}
	want := []string{
		`statement: calls[0]++ -> removed  (line 24)`,
		`constant: 0 -> 0 + 1  (line 24)`,
		`operator: name == "a" && age < 5*time.Second -> name == "a"  (line 28)`,
		`operator: age < 5*time.Second -> age <= 5*time.Second  (line 28)`,
		`constant: 5 -> 5 + 1  (line 28)`,
	}
	slices.Sort(alive)
	slices.Sort(want)
	if !slices.Equal(alive, want) {
		t.Errorf("alive:\n%s\nwant:\n%s", strings.Join(alive, "\n"), strings.Join(want, "\n"))
	}
	if r.equal != 1 || r.invalid != 0 || r.percent() >= 95 || r.total[Condition] != 4 {
		t.Errorf("%+v", r)
	}
}

// TestMutantsThatDoNotCompileAreLeftOut: the compiler names the line.
func TestMutantsThatDoNotCompileAreLeftOut(t *testing.T) {
	s, err := load(t.Context(), "testdata/fixture", ".")
	if err != nil {
		t.Fatal(err)
	}
	bad := Mutant{File: "fixture.go", Line: 17, Kind: Operator, Start: 1, End: 2, before: "?", Old: "x"}
	s.mutants = append(s.mutants, bad)
	tr := &trial{subject: s, verdicts: make([]verdict, len(s.mutants))}
	if !tr.drop("./fixture.go:17:2: syntax error") || tr.drop("./other.go:1:1: error") {
		t.Error("a line with a mutant is found, one without is not")
	}
	if tr.verdicts[len(tr.verdicts)-1] != invalid {
		t.Error("the mutant of the line stays")
	}
}

func TestKnown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "known.txt")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# why\n\ncors/a.go: operator: a | b -> a & b | the bits are disjoint\n")
	known, err := readKnown(path)
	if err != nil || known["cors/a.go: operator: a | b -> a & b"] != "the bits are disjoint" {
		t.Errorf("%v, %v", known, err)
	}
	write("cors/a.go: operator: a -> b\n")
	if _, err := readKnown(path); err == nil {
		t.Error("a survivor needs a reason")
	}
	if known, err := readKnown(path + "none"); known != nil || err != nil {
		t.Errorf("%v, %v", known, err)
	}
}
