package hmacsig

import (
	_ "crypto/hmac"
	_ "example.test/fixture/internal/fine"
)
