package chi

import "net/http"

func URLParam(r *http.Request, name string) string { return "" }
