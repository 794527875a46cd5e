package hmacsig

import "net/http"

// ExportMAC computes a MAC under any key, for the vectors of RFC 4231, most of
// whose keys are no secrets that NewSecret would take.
func ExportMAC(key, data []byte) []byte {
	return newSecret(key, false).key().mac(nil, data)
}

// ExportBase builds what a scheme signs ahead of the body.
func ExportParts(m *Message) (macs [][macSize]byte) { return m.macs[:m.count] }

// ExportSpent returns how many MACs a verification computes.
func ExportSpent(v *Verifier, r *http.Request) int {
	w := new(work)
	_, _ = v.verify(r, w)
	return int(w.spent)
}
