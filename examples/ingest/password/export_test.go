package password

// Hold takes every turn, and returns what gives them back.
func (c *Checker) Hold() (release func()) {
	for range cap(c.turns) {
		c.turns <- struct{}{}
	}
	return func() {
		for range cap(c.turns) {
			<-c.turns
		}
	}
}

// Waiting is how many checks may wait.
func (c *Checker) Waiting() int { return cap(c.waiting) }
