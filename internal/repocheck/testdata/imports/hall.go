package fixture

import (
	_ "example.test/fixture/scrub"
	_ "example.test/outside"
)
