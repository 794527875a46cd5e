package outside

import (
	_ "example.test/outside/inner"
)
