package gates

import (
	"errors"
	"net/http"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/examples/ingest/account"
	"github.com/opsmantik/sallyport/sessions/devicebound"
)

// Where browsers register a key and prove that they still have it.
const (
	DevicePath        = "/auth/device"
	DeviceRefreshPath = "/auth/device/refresh"
)

// newDevice binds the sessions of browsers that can be bound: a stolen cookie dies
// within five minutes. Others sign in as before.
func newDevice(cfg Config, current *account.Sessions) (*account.Device, error) {
	return devicebound.New(devicebound.Config[account.Data]{
		Sessions:     current,
		Binding:      func(d *account.Data) *devicebound.Binding { return &d.Device },
		RegisterPath: DevicePath, RefreshPath: DeviceRefreshPath,
		OnEvent: cfg.OnEvent,
	})
}

// Bound refuses a session whose device has not proved itself. Whoever has no session
// is left to the gate behind.
func (g *Gates) Bound(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := g.Device.Check(r)
		refused, ok := errors.AsType[*sallyport.Refusal](err)
		if ok && refused.Gate == "devicebound" {
			refused.Write(w)
			return
		}
		next.ServeHTTP(w, r)
	})
}
