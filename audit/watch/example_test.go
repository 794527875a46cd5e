package watch_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/audit/watch"
)

// signed signs what goes out, as an *hmacsig.Signer does.
type signed struct {
	signer interface{ Sign(*http.Request) error }
}

func (s signed) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := s.signer.Sign(r); err != nil {
		return nil, err
	}
	return http.DefaultTransport.RoundTrip(r)
}

// noSigner stands for an *hmacsig.Signer here.
type noSigner struct{}

func (noSigner) Sign(*http.Request) error { return nil }

// Failed sign-ins of many accounts. Alerts would go to a webhook, signed; here they are
// printed.
func Example() {
	hook := watch.Webhook("https://alerts.example/hook",
		&http.Client{Transport: signed{noSigner{}}})
	_ = hook
	tower, err := watch.New(watch.Config{
		Scenarios: []watch.Scenario{{
			Name: "spraying", Match: watch.Match{Codes: []string{"login_attempt_failed"}},
			Per: watch.All, Distinct: watch.Actor, Capacity: 20, Leak: time.Minute, Page: true,
			Hint: "see which addresses they come from",
		}},
		OnAlert: func(_ context.Context, alerts []watch.Alert) error {
			for _, a := range alerts {
				fmt.Println(a.Tier, a.Code, a.Rule+":", a.Condition)
			}
			return nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// A service starts tower.Run and gives tower.Observe to its gates as OnEvent. This
	// example moves the clock itself.
	now := time.Date(2026, 1, 5, 8, 0, 0, 0, time.UTC)
	tower.Advance(context.Background(), now)
	for i := range 30 {
		tower.Observe(context.Background(), sallyport.Event{
			Gate: "loginguard", Code: "login_attempt_failed", Actor: fmt.Sprint("user-", i),
		})
	}
	tower.Advance(context.Background(), now.Add(time.Second))
	// Output:
	// page scenario_overflow spraying: more than 20 different values at once, of which one is forgiven every 1m0s
}

// A guard in front blocks an account after five failures in a quarter of an hour: nobody
// can ever fail twenty times, and the rule would only look like protection.
func Example_incorrect() {
	_, err := watch.New(watch.Config{
		Limits: []watch.Limit{{
			Codes: []string{"login_attempt_failed"}, Per: watch.Actor, Events: 5, Within: 15 * time.Minute,
		}},
		Scenarios: []watch.Scenario{{
			Name: "guessing", Match: watch.Match{Codes: []string{"login_attempt_failed"}},
			Per: watch.Actor, Capacity: 20, Leak: time.Minute,
		}},
	})
	fmt.Println(err)
	// Output:
	// watch: Scenarios[0].Capacity: "20": the service lets 5 within 15m0s through, so the bucket can never overflow; lower Capacity or raise Leak
}
