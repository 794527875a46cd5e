package tracker

// Sites is how many sites a Memory knows of.
func (m *Memory) Sites() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.sites)
}
