package redislimit

import (
	_ "example.test/fixture/ratelimit"
	_ "example.test/outside/inner"
)
