package audit_test

import (
	"bytes"
	"testing"
	"time"
	"unicode"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit"
)

// FuzzParse: what parses encodes to the same bytes.
func FuzzParse(f *testing.F) {
	for _, id := range []string{"7", "\u0085", "ü", "\U000e0041", "\"\\"} {
		entry, err := record(id).Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(entry)
	}
	f.Add([]byte(`{"v":1,"v":1}`))
	f.Add([]byte(`{"v":1,"reason":null,"fields":{"a":null,"b":{"k":"h","c":"x"}}}`))
	f.Fuzz(func(t *testing.T, entry []byte) {
		r, err := audit.Parse(entry)
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil || !bytes.Equal(again, entry) {
			t.Fatalf("Parse(%q) encodes to %q, %v", entry, again, err)
		}
	})
}

// FuzzEncode: any value makes one printable line that parses to itself.
func FuzzEncode(f *testing.F) {
	f.Add("ada", "x\ny", "k", "v", int64(0))
	f.Add("\u2028", "\xff", "\u0085", "\x7f", int64(1)<<60)
	f.Fuzz(func(t *testing.T, actor, reason, name, value string, at int64) {
		r := record("1")
		r.Time, r.Actor.ID, r.Reason = time.Unix(at%1e10, at%1e9), actor, reason
		r.Fields = []audit.Field{{Name: name, Value: value, Class: sallyport.Internal}}
		entry, err := r.Encode()
		if err != nil {
			return
		}
		if i := bytes.IndexFunc(entry, unicode.IsControl); i >= 0 {
			t.Fatalf("got %q at %d", entry[i], i)
		}
		if _, err := audit.Parse(entry); err != nil {
			t.Fatalf("Parse(%q): %v", entry, err)
		}
	})
}

// FuzzHead: a head has one text.
func FuzzHead(f *testing.F) {
	f.Add([]byte("0"))
	_, head := chain(f, 7)
	text, _ := head.MarshalText()
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		var head audit.Head
		if head.UnmarshalText(text) != nil {
			return
		}
		if again, _ := head.MarshalText(); !bytes.Equal(again, text) {
			t.Fatalf("got %q from %q", again, text)
		}
	})
}

// FuzzEntries: no file makes the reader panic, and what it accepts is what a log
// with these entries would have written, up to how they were batched.
func FuzzEntries(f *testing.F) {
	f.Add([]byte("sallyport-audit 1 0\n"))
	f.Add([]byte("sallyport-audit 1 0\n+2 1 x\n"))
	f.Add([]byte("\n"))
	f.Add(make([]byte, 70_000))
	whole, _ := fileWith(f, 3)
	f.Add(whole)
	f.Add(whole[:len(whole)-9])
	f.Fuzz(func(t *testing.T, data []byte) {
		var head audit.Head
		var err error
		for entry, e := range audit.Entries(oneFile(data), 0) {
			if err = e; err == nil {
				head = head.Next(entry)
			}
		}
		if err == nil && head.Size() == 0 && string(data) != "sallyport-audit 1 0\n" {
			t.Fatalf("accepted %q as empty", data)
		}
	})
}
