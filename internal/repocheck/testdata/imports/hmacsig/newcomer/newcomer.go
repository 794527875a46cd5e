package newcomer

import (
	_ "example.test/fixture/hmacsig"
	_ "example.test/outside/inner"
)
