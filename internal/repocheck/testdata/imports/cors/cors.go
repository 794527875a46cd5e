package cors

import (
	_ "example.test/fixture/hmacsig"
	_ "example.test/fixture/internal/fine"
	_ "example.test/outside"
	_ "net/http"
)
