// Package echo4 mounts the gates in Echo 4.
package echo4

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// Middleware mounts a gate, as in
//
//	e.POST("/sites/:site/calls", handler, echo4.Middleware(gate.Wrap))
//
// It differs from echo.WrapMiddleware in two things. An error that the handler
// returns is rendered by Echo's own error handler before the gate returns: a
// gate that settles by the status, as hmacsig does, would otherwise see 200
// where the client gets 503. And the request's path values are set, so that
// tenancy.FromPath finds them.
func Middleware(gate func(http.Handler) http.Handler) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			for i, name := range c.ParamNames() {
				r.SetPathValue(name, c.ParamValues()[i])
			}
			inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c.SetRequest(r)
				outer := c.Response()
				c.SetResponse(echo.NewResponse(w, c.Echo()))
				if err := next(c); err != nil {
					c.Error(err)
				}
				// Whoever asks the context later, such as a logger in front, must see
				// that the answer is out.
				outer.Committed, outer.Status = c.Response().Committed, c.Response().Status
			})
			gate(inner).ServeHTTP(c.Response(), r)
			return nil
		}
	}
}
