package fiber_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"
	sallyportfiber "github.com/opsmantik/sallyport/examples/routers/fiber"
	"github.com/opsmantik/sallyport/examples/routers/suite"
	"github.com/opsmantik/sallyport/tools/gatetest/adaptertest"
	"github.com/stretchr/testify/require"
)

// TestMiddlewareCannotWork keeps the package's claim true: when Fiber learns it,
// this fails and the doc can say so.
func TestMiddlewareCannotWork(t *testing.T) {
	problems := adaptertest.Check(func(gate func(http.Handler) http.Handler) http.Handler {
		app := fiber.New()
		app.Post("/adapter/:site", adaptor.HTTPMiddleware(gate), func(c fiber.Ctx) error {
			r, err := adaptor.ConvertRequest(c, true)
			if err != nil {
				return err
			}
			answer := adaptertest.Handle(r)
			if answer.Failed {
				return fiber.NewError(answer.Status)
			}
			return c.Status(answer.Status).SendString(answer.Body)
		})
		return adaptor.FiberApp(app)
	})
	require.NotEmpty(t, problems)
}

// TestInFront: gates that refuse, and settlement by status, work in front.
func TestInFront(t *testing.T) {
	suite.RunWithoutContext(t, func(gate func(http.Handler) http.Handler) http.Handler {
		app := fiber.New()
		app.Post("/adapter/:site", func(c fiber.Ctx) error {
			if strings.Contains(string(c.Body()), "fail") {
				return fiber.NewError(fiber.StatusServiceUnavailable)
			}
			return c.Status(fiber.StatusCreated).SendString("done")
		})
		return gate(sallyportfiber.Handler(app))
	})
}

func TestBodyOverTheLimitIsRefused(t *testing.T) {
	var got int
	app := fiber.New(fiber.Config{BodyLimit: 10})
	app.Post("/", func(c fiber.Ctx) error {
		got = len(c.Body())
		return nil
	})
	for _, body := range []string{"123456789", "12345678901"} {
		got = -1
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.ContentLength = -1 // as with chunks: the adaptor cannot see the length
		rec := httptest.NewRecorder()
		sallyportfiber.Handler(app).ServeHTTP(rec, r)
		if len(body) < 10 {
			require.Equal(t, len(body), got)
			continue
		}
		require.Equal(t, -1, got, "the handler must not see a cut body")
		require.GreaterOrEqual(t, rec.Code, 400)
	}
}
