// Package routers shows the gates in nine routers and frameworks. Each folder
// has the few lines that a framework needs, and a test that runs the real
// framework through [github.com/opsmantik/sallyport/tools/gatetest/adaptertest]
// and through every gate.
//
//	stdlib    nothing to write: mount the gate on the route
//	chi       r.With(gate.Wrap).Post(...); Use runs before the route is known
//	huma      on any of the others: the gate wraps the router's route or group
//	connect   the gate wraps the path that the service's constructor returns
//	gateway   the gate wraps runtime.ServeMux; path values are not known there
//	echo4     Middleware below: echo.WrapMiddleware renders errors too late
//	echo5     Middleware below: the same
//	gin       Middleware below: a writer that forwards, and Abort
//	fiber     in front only: what a gate proved cannot reach a Fiber handler
package routers
