package gates

import "github.com/opsmantik/sallyport/ratelimit/clientaddr"

// newAddress finds the client's address. It trusts X-Forwarded-For from the
// named proxies, and nothing from anybody else.
func newAddress(cfg Config) (*clientaddr.Gate, error) {
	address := clientaddr.Config{
		TrustedProxies: cfg.Settings.TrustedProxies, OnEvent: cfg.OnEvent,
	}
	if len(address.TrustedProxies) > 0 {
		address.Header = "X-Forwarded-For"
	}
	return clientaddr.New(address)
}
