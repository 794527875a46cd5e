package hmacsig

// ExportMAC computes a MAC under any key, for the vectors of RFC 4231, most of
// whose keys are no secrets that NewSecret would take.
func ExportMAC(key, data []byte) []byte {
	return newSecret(key).key().mac(nil, nil, &content{buf: &data, full: true})
}

// ExportBase builds what a scheme signs ahead of the body.
func ExportParts(m *Message) (macs [][macSize]byte) { return m.macs[:m.count] }

// Live counts the entries and slots of a store.
func (m *MemoryReplay) Live() (slots int) {
	for i := range m.shards {
		slots += len(m.shards[i].slots)
	}
	return slots
}
