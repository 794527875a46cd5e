package sessions

// Held counts all that a Memory holds: keys, sessions in reach of the hand, users.
func (s *Memory) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := 0
	for i := range s.shards {
		held += len(s.shards[i].byKey) + len(s.shards[i].all) + len(s.users[i].first)
	}
	return held
}
