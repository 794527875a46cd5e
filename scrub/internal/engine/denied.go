package engine

// deniedKey returns the head that denies the key, or nil. It applies to keys
// that are known to be keys: of JSON, headers, queries, maps and structs.
func (e *Engine) deniedKey(key string) *head {
	if len(key) < 3 || len(key) > 4*maxKeyBytes {
		return nil
	}
	for i := 0; i < len(key); i++ {
		at, m := e.filter.next(key, i)
		for m != 0 {
			var entries []entry
			entries, m = e.filter.entriesOf(m)
			for k := range entries {
				en := &entries[k]
				if en.kind != kindKey || !en.matches(key, at) {
					continue
				}
				h := &e.heads[en.arg]
				if _, ok := keyStart(key, at, h); !ok {
					continue
				}
				if end, ok := keyEnd(key, at+len(h.word)); ok && end == len(key) {
					return h
				}
			}
		}
		i = at
	}
	return nil
}

// deniedValue reports whether text may not stand below a denied key.
func deniedValue(rule valueRule, text string) bool {
	switch {
	case text == "" || empty(text) || text == "{}" || text == "[]":
		return false
	case rule == ruleText:
		return !shortNumber(text)
	case rule == ruleOpaque:
		return opaque(text) || text[0] == '{' || text[0] == '['
	}
	return true
}

// isReplacement reports whether text is a replacement already.
func (e *Engine) isReplacement(text string) bool {
	return text != "" && e.replacementEnd(text, 0) == len(text)
}
