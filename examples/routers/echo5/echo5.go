// Package echo5 mounts the gates in Echo 5.
package echo5

import (
	"net/http"

	"github.com/labstack/echo/v5"
)

// Middleware mounts a gate, as in
//
//	e.POST("/sites/:site/calls", handler, echo5.Middleware(e, gate.Wrap))
//
// It differs from echo.WrapMiddleware in one thing: an error that the handler
// returns is rendered by Echo's own error handler before the gate returns. A
// gate that settles by the status, as hmacsig does, would otherwise see 200
// where the client gets 503.
func Middleware(e *echo.Echo, gate func(http.Handler) http.Handler) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return echo.WrapMiddleware(gate)(func(c *echo.Context) error {
			if err := next(c); err != nil {
				e.HTTPErrorHandler(c, err)
			}
			return nil
		})
	}
}
