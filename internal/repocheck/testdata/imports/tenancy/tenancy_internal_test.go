package tenancy

import (
	_ "example.test/fixture/audit/watch"
)
