package rls

import (
	"regexp"
	"slices"
	"strings"
)

// condition judges the text of a policy, as pg_get_expr prints it: every operator has
// parentheses of its own, keywords are in upper case, names have their schema.
//
// A condition binds a row when no row passes it without a comparison of one of the
// row's own columns with who asks. AND binds if one side does, OR only if both do.
type condition struct {
	table    *relation
	identity func(text string) bool // mentions who asks
}

func (c condition) binds(text string) bool {
	text = unwrap(text)
	if parts := split(text, " OR "); len(parts) > 1 {
		for _, p := range parts {
			if !c.binds(p) {
				return false
			}
		}
		return true
	}
	if parts := split(text, " AND "); len(parts) > 1 {
		return slices.ContainsFunc(parts, c.binds)
	}
	return c.identity(text) && c.mentionsRow(text) && !opposite(text)
}

// loose returns the alternatives of a condition that do not bind.
func (c condition) loose(text string) []string {
	text = unwrap(text)
	if parts := split(text, " OR "); len(parts) > 1 {
		var all []string
		for _, p := range parts {
			all = append(all, c.loose(p)...)
		}
		return all
	}
	if c.binds(text) {
		return nil
	}
	return []string{text}
}

// opposite is for "site_id <> mine", which binds to everybody else.
func opposite(text string) bool {
	parts := split(text, " <> ")
	return len(parts) > 1 || strings.HasPrefix(text, "NOT ") && !strings.HasPrefix(text, "NOT (NOT ")
}

// mentionsRow reports whether a column of the table is used: by its name alone, or with
// the table's name inside a subquery. In a subquery a bare name, or one behind another
// alias, is a column of what the subquery reads.
func (c condition) mentionsRow(text string) bool {
	for _, column := range c.columns(text) {
		if column != "" {
			return true
		}
	}
	return false
}

// columns returns the table's columns that a text uses.
func (c condition) columns(text string) []string {
	_, short, _ := strings.Cut(c.table.name, ".")
	outer := withoutSubqueries(text)
	var found []string
	for _, column := range c.table.columns {
		if column == "" {
			continue
		}
		name := ident(column)
		if word(outer, name) || strings.Contains(text, short+"."+name) && !aliased(text, short) {
			found = append(found, column)
		}
	}
	return found
}

// aliased reports whether a subquery reads the same table under its own name, so that
// "calls.site_id" there is the subquery's.
func aliased(text, short string) bool {
	return regexp.MustCompile(`FROM \(*[a-z0-9_."]*\b`+regexp.QuoteMeta(short)+`\b( |\)|$)`).
		MatchString(text) && !regexp.MustCompile(`FROM \(*[a-z0-9_."]*\b`+regexp.QuoteMeta(short)+
		` [a-z]`).MatchString(text)
}

var plain = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// ident writes a name as the server prints it.
func ident(name string) string {
	if plain.MatchString(name) {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// word reports whether name stands in text as a whole word and not behind a dot.
func word(text, name string) bool {
	return regexp.MustCompile(`(^|[^A-Za-z0-9_."'])` + regexp.QuoteMeta(name) + `($|[^A-Za-z0-9_"'(.])`).
		MatchString(text)
}

// withoutSubqueries cuts out every "( SELECT ...)".
func withoutSubqueries(text string) string {
	for {
		at := strings.Index(text, "SELECT ")
		if at < 0 {
			return text
		}
		open := strings.LastIndexByte(text[:at], '(')
		if open < 0 {
			return text[:at]
		}
		text = text[:open] + " ? " + text[closing(text, open)+1:]
	}
}

// closing returns where the parenthesis that opens at i closes, or the end.
func closing(text string, i int) int {
	depth := 0
	for j := i; j < len(text); j++ {
		switch text[j] {
		case '\'', '"':
			j = quoted(text, j)
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return j
			}
		}
	}
	return len(text) - 1
}

// quoted returns where the quotation that begins at i ends.
func quoted(text string, i int) int {
	if end := strings.IndexByte(text[i+1:], text[i]); end >= 0 {
		return i + 1 + end
	}
	return len(text) - 1
}

// unwrap takes parentheses off that enclose the whole text.
func unwrap(text string) string {
	text = strings.TrimSpace(text)
	for strings.HasPrefix(text, "(") && closing(text, 0) == len(text)-1 {
		text = strings.TrimSpace(text[1 : len(text)-1])
	}
	return text
}

// split cuts a text at an operator outside of all parentheses and quotations.
func split(text, operator string) []string {
	var parts []string
	last := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\'', '"':
			i = quoted(text, i)
		case '(':
			i = closing(text, i)
		default:
			if strings.HasPrefix(text[i:], operator) {
				parts = append(parts, text[last:i])
				last = i + len(operator)
				i = last - 1
			}
		}
	}
	return append(parts, text[last:])
}
