package scrub_test

import (
	_ "example.test/fixture/tenancy"
)
