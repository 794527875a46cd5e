package envelope

import (
	_ "example.test/fixture/tenancy"
)
