package redissession

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/opsmantik/sallyport/sessions"
)

// FuzzDecode: whatever is stored under our keys makes an error or a record, and a
// record that is written again is the same.
func FuzzDecode(f *testing.F) {
	rec := &sessions.Record{
		ID: "id", User: "ada", Client: "Firefox", Level: 2, Remember: true,
		Idle: time.Minute, Lifetime: time.Hour, Data: []byte(`{}`),
	}
	header := make([]byte, headerLen)
	header[0] = live
	for i := range 6 {
		binary.BigEndian.PutUint64(header[1+8*i:], math.Float64bits(float64(i)*1e6))
	}
	good := append(bytes.Clone(header), payload(rec)...)
	f.Add(good)
	f.Add(good[:headerLen])
	moved := append(bytes.Clone(header), make([]byte, replacedLen)...)
	moved[0] = replaced
	f.Add(append(moved, payload(rec)...))
	f.Fuzz(func(t *testing.T, stored []byte) {
		var got, again sessions.Record
		if decode(string(stored), &got) != nil {
			return
		}
		text := append(bytes.Clone(header), payload(&got)...)
		if err := decode(string(text), &again); err != nil {
			t.Fatalf("written again: %v", err)
		}
		if got.ID != again.ID || got.User != again.User || got.Client != again.Client ||
			got.Level != again.Level || got.Idle != again.Idle || !bytes.Equal(got.Data, again.Data) {
			t.Fatalf("got %+v, again %+v", got, again)
		}
	})
}
