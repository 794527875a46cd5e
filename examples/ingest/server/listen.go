package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/opsmantik/sallyport/examples/ingest/settings"
)

// Listeners are the addresses that the server answers on. They are bound before
// anything is generated, opened or written: a second start of the same server
// ends here and changes nothing.
type Listeners struct {
	API     net.Listener
	Page    net.Listener // the demo page; nil outside demo mode
	Metrics net.Listener // nil without METRICS_ADDR
}

// Listen binds LISTEN_ADDR, METRICS_ADDR and, in demo mode, the next port, or any
// free one, for the page.
func Listen(ctx context.Context, s *settings.Settings) (*Listeners, error) {
	var config net.ListenConfig
	l := &Listeners{}
	var err error
	if l.API, err = config.Listen(ctx, "tcp", s.ListenAddr); err != nil {
		return nil, fmt.Errorf("LISTEN_ADDR: %w", err)
	}
	if s.MetricsAddr != "" {
		if l.Metrics, err = config.Listen(ctx, "tcp", s.MetricsAddr); err != nil {
			return nil, errors.Join(fmt.Errorf("METRICS_ADDR: %w", err), l.Close())
		}
	}
	if s.Demo != nil {
		if l.Page, err = listenPage(ctx, &config, s.ListenAddr); err != nil {
			return nil, errors.Join(fmt.Errorf("the demo page beside LISTEN_ADDR: %w", err), l.Close())
		}
	}
	return l, nil
}

func listenPage(ctx context.Context, config *net.ListenConfig, api string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(api)
	if err != nil {
		return nil, err
	}
	if n, err := strconv.Atoi(port); err == nil && n > 0 && n < 65535 {
		next := net.JoinHostPort(host, strconv.Itoa(n+1))
		if listener, err := config.Listen(ctx, "tcp", next); err == nil {
			return listener, nil
		}
	}
	return config.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
}

// Bound says what the settings have to know of the addresses.
func (l *Listeners) Bound() settings.Bound {
	at := settings.Bound{API: l.API.Addr().String()}
	if l.Page != nil {
		at.Page = l.Page.Addr().String()
	}
	return at
}

// Close frees the addresses.
func (l *Listeners) Close() error {
	var errs []error
	for _, each := range []net.Listener{l.API, l.Page, l.Metrics} {
		if each == nil {
			continue
		}
		if err := each.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
