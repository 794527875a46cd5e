package gates

import "github.com/opsmantik/sallyport/ratelimit"

// newAddress finds the client's address. It trusts X-Forwarded-For from the
// named proxies, and nothing from anybody else.
func newAddress(cfg Config) (*ratelimit.ClientAddr, error) {
	address := ratelimit.ClientAddrConfig{TrustedProxies: cfg.Settings.TrustedProxies}
	if len(address.TrustedProxies) > 0 {
		address.Header = "X-Forwarded-For"
	}
	return ratelimit.NewClientAddr(address)
}
