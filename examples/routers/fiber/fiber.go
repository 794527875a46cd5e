// Package fiber puts the gates in front of a Fiber app.
//
// Fiber is no net/http server. Its adaptor.HTTPMiddleware runs the gate to its
// end, answer included, before the handler starts: a cookie that sessions sets
// when the header leaves is lost, and hmacsig settles before anything happened.
// So a gate cannot be a Fiber middleware. What works is net/http in front:
//
//	http.ListenAndServe(addr, cors.Wrap(limits.Wrap(verifier.Wrap(fiber.Handler(app)))))
//
// Gates that refuse, and hmacsig's settlement, work there. What a gate proved
// (sessions, tenancy, hmacsig.FromContext) is in the request's context, which
// does not reach a Fiber handler: such routes belong on net/http.
package fiber

import (
	"net/http"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/adaptor"
)

// Handler runs a Fiber app below the gates.
//
// adaptor.FiberApp cuts a body that is longer than the app's BodyLimit and
// hands the rest on as if it were whole, so the limit is enforced here.
func Handler(app *fiber.App) http.Handler {
	next := adaptor.FiberApp(app)
	limit := int64(app.Config().BodyLimit)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, limit-1)
		next(w, r)
	})
}
