package watch

import (
	"encoding/json"
	"errors"
	"hash/maphash"
	"maps"
	"time"

	"github.com/opsmantik/sallyport/audit/watch/internal/detect"
)

// state is what outlives the process.
type state struct {
	Version  int                       `json:"version"`
	Started  time.Time                 `json:"started"`
	Volumes  map[string]*detect.Volume `json:"volumes"`
	Ratios   map[string]*detect.Ratio  `json:"ratios"`
	Seen     map[string][]string       `json:"seen"`
	Alerts   []savedAlert              `json:"alerts"`
	Expected map[string]time.Time      `json:"expected"`
}

type savedAlert struct {
	Alert
	Muted time.Time `json:"muted"`
	Told  Tier      `json:"told"`
	Next  time.Time `json:"next"`
}

const stateVersion = 1

// Snapshot returns what has been learned, which alerts are open and what people decided,
// for [Config.State] of the next process. It holds names of tenants, actors and
// origins: keep it as the audit log is kept.
func (e *Engine) Snapshot() ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := state{
		Version: stateVersion, Started: e.started, Volumes: map[string]*detect.Volume{},
		Ratios: map[string]*detect.Ratio{}, Seen: map[string][]string{}, Expected: e.expected,
	}
	for _, r := range e.series {
		for i := range r.volumes {
			s.Volumes[r.Name+"\x00"+e.tenantName(r, i)] = &r.volumes[i]
		}
	}
	for _, r := range e.ratios {
		for i := range r.tests {
			s.Ratios[r.Name+"\x00"+e.tenantName(r.part, i)] = &r.tests[i]
		}
	}
	for _, n := range e.novelties {
		n.mu.Lock()
		s.Seen[n.Name] = append([]string(nil), n.values...)
		n.mu.Unlock()
	}
	for _, a := range e.alerts {
		s.Alerts = append(s.Alerts, savedAlert{a.copy(), a.muted, a.told, a.next})
	}
	return json.Marshal(s)
}

var errState = errors.New("watch: Config.State is not a snapshot of this version")

func (e *Engine) restore(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	var s state
	if err := json.Unmarshal(text, &s); err != nil || s.Version != stateVersion {
		return errState
	}
	e.started = s.Started
	for _, r := range e.series {
		for i := range r.volumes {
			if v := s.Volumes[r.Name+"\x00"+e.tenantName(r, i)]; v != nil && v.Valid() {
				r.volumes[i] = *v
				r.volumes[i].Gap()
			}
		}
	}
	for _, r := range e.ratios {
		for i := range r.tests {
			if d := s.Ratios[r.Name+"\x00"+e.tenantName(r.part, i)]; d != nil && d.Valid() {
				r.tests[i] = *d
				r.tests[i].Gap()
			}
		}
	}
	for _, n := range e.novelties {
		for _, value := range s.Seen[n.Name] {
			if n.add(maphash.String(e.seed, value) | 1) {
				n.values = append(n.values, value)
			}
		}
	}
	for _, a := range s.Alerts {
		if len(e.alerts) < maxAlerts {
			alert := a.Alert
			alert.muted, alert.told, alert.next = a.Muted, a.Told, a.Next
			e.alerts[alert.ID] = &alert
		}
	}
	maps.Copy(e.expected, s.Expected)
	return nil
}
