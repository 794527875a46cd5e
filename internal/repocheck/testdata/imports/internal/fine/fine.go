package fine

import (
	_ "net/http"
)
