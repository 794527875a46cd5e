package scrub

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/scrub/internal/engine"
)

// The bounds of one value. Beyond them it is dropped, not cut: a cut could
// split a secret so that its half is not recognised.
const (
	maxValueDepth = 32
	maxValueNodes = 10_000
	maxValueText  = 1 << 20
)

// Value returns a copy of v that may leave: made only of maps, slices,
// strings, numbers, booleans, nil, time.Time and time.Duration. Struct fields
// above the clearance become "[confidential]" or "[restricted]" by their pii
// tag; denied keys lose their values; everything else is scrubbed as text.
// Unexported fields and those tagged json:"-" are left out.
//
// It returns ErrDropped, and nothing of v, for cycles, values that are too
// deep or too large, and values whose own methods panic. v is not changed.
func (s *Scrubber) Value(v any) (any, Report, error) { return s.valueUnder("", v) }

func (s *Scrubber) valueUnder(key string, v any) (clean any, rep Report, err error) {
	if s.unusable() {
		return nil, Report{}, ErrDropped
	}
	w := valueWalk{s: s}
	defer func() {
		if r := recover(); r != nil {
			// The panic may carry the very data that is to be kept.
			clean, err = nil, ErrDropped
		}
		rep = s.report(w.counts)
	}()
	clean = w.any(key, reflect.ValueOf(v), 0)
	if w.failed {
		return nil, s.report(w.counts), ErrDropped
	}
	return clean, s.report(w.counts), nil
}

type valueWalk struct {
	s      *Scrubber
	counts engine.Counts
	path   []visit // the pointers between the root and here
	nodes  int
	text   int
	failed bool
	below  string // the denied key whose leaves are judged here
}

type visit struct {
	p uintptr
	t reflect.Type
}

// any copies v, which belongs to key.
func (w *valueWalk) any(key string, v reflect.Value, depth int) any {
	if w.nodes++; w.failed || w.nodes > maxValueNodes || depth > maxValueDepth {
		w.failed = true
		return nil
	}
	if !v.IsValid() || nilable(v.Kind()) && v.IsNil() {
		return nil
	}
	if v.Kind() == reflect.Interface {
		return w.any(key, v.Elem(), depth) // its methods are those of what it holds
	}
	if det, denied := w.s.engine.DeniesTree(key); denied {
		text := scalarText(v)
		if text == "" && w.s.engine.Whole(key) {
			return w.hide(det, "")
		}
		if text == "" {
			above := w.below
			w.below = key
			defer func() { w.below = above }()
		} else if _, denied = w.s.engine.Denies(key, text); denied {
			return w.hide(det, text)
		}
	}
	if clean, ok := w.special(key, v, depth); ok {
		return clean
	}
	switch v.Kind() {
	case reflect.Bool:
		return v.Bool()
	case reflect.String:
		return w.string(key, v.String())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr,
		reflect.Float32, reflect.Float64:
		return w.number(key, v)
	case reflect.Pointer, reflect.Map, reflect.Slice:
		return w.shared(key, v, depth)
	case reflect.Array:
		return w.list(key, v, depth)
	case reflect.Struct:
		return w.fields(v, depth)
	}
	// Functions, channels and complex numbers say nothing that is needed.
	return "[" + v.Kind().String() + "]"
}

func nilable(k reflect.Kind) bool {
	switch k {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface, reflect.Func, reflect.Chan:
		return true
	}
	return false
}

// scalarText returns the text of a scalar, or "" for anything with parts.
func scalarText(v reflect.Value) string {
	for v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "null"
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		if v.Len() == 0 {
			return "null"
		}
		return v.String()
	case reflect.Struct, reflect.Map, reflect.Slice, reflect.Array:
		return ""
	}
	if v.CanInterface() {
		return fmt.Sprint(v.Interface())
	}
	return ""
}

func (w *valueWalk) hide(det int, text string) string {
	w.counts[det]++
	return string(w.s.engine.Replacement(nil, det, text))
}

// string scrubs text, as JSON where it is JSON.
func (w *valueWalk) string(key, text string) any {
	if w.text += len(text); w.text > maxValueText {
		w.failed = true
		return nil
	}
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	if len(text) > 1 && (text[0] == '{' || text[0] == '[') {
		clean, rep := w.s.AppendJSON(nil, []byte(text))
		for i, n := range rep.counts {
			w.counts[i] += n
		}
		return string(clean)
	}
	return w.s.engine.Below(key, text, &w.counts)
}

func (w *valueWalk) number(key string, v reflect.Value) any {
	text := fmt.Sprint(v.Interface())
	if clean := w.s.engine.Below(key, text, &w.counts); clean != text {
		return clean
	}
	switch {
	case v.CanInt():
		return v.Int()
	case v.CanUint():
		return v.Uint()
	}
	return v.Float()
}

// shared copies what a pointer refers to and fails on a cycle.
func (w *valueWalk) shared(key string, v reflect.Value, depth int) any {
	here := visit{v.Pointer(), v.Type()}
	if v.Kind() != reflect.Slice || v.Len() > 0 {
		if slices.Contains(w.path, here) {
			w.failed = true
			return nil
		}
	}
	w.path = append(w.path, here)
	defer func() { w.path = w.path[:len(w.path)-1] }()
	switch v.Kind() {
	case reflect.Pointer:
		return w.any(key, v.Elem(), depth+1)
	case reflect.Map:
		return w.entries(v, depth)
	}
	if v.Type().Elem().Kind() == reflect.Uint8 {
		if !utf8.Valid(v.Bytes()) {
			return "[binary]"
		}
		return w.string(key, string(v.Bytes()))
	}
	return w.list(key, v, depth)
}

func (w *valueWalk) list(key string, v reflect.Value, depth int) any {
	clean := make([]any, 0, min(v.Len(), 64))
	pair := ""
	if v.Len() == 2 { // ["authorization", "Bearer ..."]
		pair = textOf(v.Index(0))
	}
	for i := range v.Len() {
		if i == 1 && pair != "" {
			if _, denied := w.s.engine.DeniesTree(pair); denied {
				key = pair
			}
		}
		if clean = append(clean, w.any(key, v.Index(i), depth+1)); w.failed {
			return nil
		}
	}
	return clean
}

// textOf returns the text that v holds, or "" if it is none.
func textOf(v reflect.Value) string {
	for v.Kind() == reflect.Interface && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.String {
		return ""
	}
	return v.String()
}

func (w *valueWalk) entries(v reflect.Value, depth int) any {
	clean := make(map[string]any, min(v.Len(), 64))
	named := ""
	for it := v.MapRange(); it.Next(); {
		if engine.IsName(textOf(it.Key())) {
			named = textOf(it.Value())
		}
	}
	seen := make(map[string]int)
	for it := v.MapRange(); it.Next() && !w.failed; {
		key := fmt.Sprint(it.Key().Interface())
		of := key
		if named != "" && engine.IsValue(key) {
			of = named
		}
		value := w.any(w.nameOf(of), it.Value(), depth+1)
		safe, _ := w.string("", key).(string)
		clean[unused(clean, seen, safe)] = value
	}
	return clean
}

// unused returns key, or key#2 and so on: two keys may scrub to the same. seen
// says how many have, so that thousands of them take no longer than they must.
func unused(clean map[string]any, seen map[string]int, key string) string {
	for {
		seen[key]++
		name := key
		if n := seen[key]; n > 1 {
			name += "#" + strconv.Itoa(n)
		}
		if _, taken := clean[name]; !taken {
			return name
		}
	}
}

// fields copies the exported fields of a struct by their classes.
func (w *valueWalk) fields(v reflect.Value, depth int) any {
	t := v.Type()
	clean := make(map[string]any, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		class := w.s.fieldClass(f)
		switch {
		case class > w.s.clearance:
			clean[name] = "[" + class.String() + "]"
		case w.denies(f.Name):
			clean[name] = w.any(f.Name, v.Field(i), depth+1)
		default:
			clean[name] = w.any(w.nameOf(name), v.Field(i), depth+1)
		}
	}
	return clean
}

// fieldClass returns the class of a struct's field. A tag that names no class
// is a mistake, and counts as Restricted.
func (s *Scrubber) fieldClass(f reflect.StructField) sallyport.Class {
	tag, tagged := f.Tag.Lookup("pii")
	switch {
	case tagged:
		class, _ := sallyport.ParseClass(tag)
		return class
	case s.strict:
		return sallyport.Restricted
	}
	return sallyport.Public
}

// special copies the types that know how to present themselves. A type with
// classes never does: its fields count, and not what its methods make of them.
func (w *valueWalk) special(key string, v reflect.Value, depth int) (any, bool) {
	if !v.CanInterface() {
		return nil, false
	}
	switch x := v.Interface().(type) {
	case time.Time, time.Duration:
		return x, true
	case json.RawMessage:
		return w.string(key, string(x)), true
	case json.Number:
		return w.s.engine.Below(key, x.String(), &w.counts), true
	case slog.Value:
		return w.any(key, reflect.ValueOf(plainLog(x.Resolve())), depth+1), true
	case slog.Attr:
		return w.any(key, reflect.ValueOf(map[string]slog.Value{x.Key: x.Value}), depth+1), true
	}
	if w.classified(v.Type()) {
		return nil, false
	}
	switch x := v.Interface().(type) {
	case slog.LogValuer:
		resolved := slog.AnyValue(x).Resolve()
		if resolved.Kind() == slog.KindLogValuer {
			w.failed = true
			return nil, true
		}
		return w.any(key, reflect.ValueOf(plainLog(resolved)), depth+1), true
	case error:
		return w.string(key, x.Error()), true
	case json.Marshaler:
		return w.marshaled(key, x)
	case encoding.TextMarshaler:
		if text, err := x.MarshalText(); err == nil {
			return w.string(key, string(text)), true
		}
	case fmt.Stringer:
		return w.string(key, x.String()), true
	}
	return nil, false
}

func (w *valueWalk) marshaled(key string, m json.Marshaler) (any, bool) {
	text, err := m.MarshalJSON()
	if err != nil {
		w.failed = true
		return nil, true
	}
	var plain any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // a float64 would round long numbers
	if d.Decode(&plain) != nil {
		return w.string(key, string(text)), true
	}
	return w.any(key, reflect.ValueOf(plain), 1), true
}

// classified reports whether a type has fields with classes, in itself or in
// what it is made of. When Strict is set, every exported field has one.
func (w *valueWalk) classified(t reflect.Type) bool { return w.hasClass(t, map[reflect.Type]bool{}) }

func (w *valueWalk) hasClass(t reflect.Type, seen map[reflect.Type]bool) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return w.hasClass(t.Elem(), seen)
	case reflect.Map:
		return w.hasClass(t.Key(), seen) || w.hasClass(t.Elem(), seen)
	case reflect.Struct:
	default:
		return false
	}
	if seen[t] || t == reflect.TypeFor[time.Time]() {
		return false
	}
	seen[t] = true
	for f := range t.Fields() {
		_, tagged := f.Tag.Lookup("pii")
		if tagged || w.s.strict && f.IsExported() || w.hasClass(f.Type, seen) {
			return true
		}
	}
	return false
}

// plainLog turns a group into a map, so that its keys can be judged.
func plainLog(v slog.Value) any {
	if v.Kind() != slog.KindGroup {
		return v.Any()
	}
	m := make(map[string]any)
	for _, a := range v.Group() {
		m[a.Key] = a.Value.Any()
	}
	return m
}

// nameOf returns the name that a value is judged by: its own, or that of the
// object around it.
func (w *valueWalk) nameOf(key string) string {
	if w.below != "" && !w.denies(key) {
		return w.below
	}
	return key
}

func (w *valueWalk) denies(key string) bool {
	_, denied := w.s.engine.DeniesTree(key)
	return denied
}
