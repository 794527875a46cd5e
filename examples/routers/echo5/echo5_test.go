package echo5_test

import (
	"net/http"
	"testing"

	"github.com/labstack/echo/v5"
	"github.com/opsmantik/sallyport/examples/routers/echo5"
	"github.com/opsmantik/sallyport/examples/routers/suite"
	"github.com/opsmantik/sallyport/tools/gatetest/adaptertest"
	"github.com/stretchr/testify/require"
)

func handler(c *echo.Context) error {
	answer := adaptertest.Handle(c.Request())
	if answer.Failed {
		return echo.NewHTTPError(answer.Status, "failed")
	}
	return c.String(answer.Status, answer.Body)
}

func mount(gate func(http.Handler) http.Handler) http.Handler {
	e := echo.New()
	e.POST("/adapter/:site", handler, echo5.Middleware(e, gate))
	return e
}

func TestAdapter(t *testing.T) { adaptertest.Run(t, mount) }

func TestEveryGate(t *testing.T) { suite.Run(t, mount) }

// TestWrapMiddlewareSettlesWrongly is why this package exists.
func TestWrapMiddlewareSettlesWrongly(t *testing.T) {
	problems := adaptertest.Check(func(gate func(http.Handler) http.Handler) http.Handler {
		e := echo.New()
		e.POST("/adapter/:site", handler, echo.WrapMiddleware(gate))
		return e
	})
	require.Contains(t, problems,
		"error: the cookie that the gate set when the header left is lost")
}
