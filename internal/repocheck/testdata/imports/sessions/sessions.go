package sessions

import (
	_ "example.test/fixture/internal/leak"
)
