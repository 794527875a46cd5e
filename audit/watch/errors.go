package watch

import "errors"

// gate names this package in events and configuration errors.
const gate = "watch"

// The codes of alerts, in [Alert.Code] and in the events of [Config.OnEvent]. None is a
// refusal.
const (
	// CodeRise: a series has several times as many events as it usually has.
	CodeRise = "traffic_rise"
	// CodeStop: a series has next to nothing of what it usually has.
	CodeStop = "traffic_stop"
	// CodeRatio: a part of the events has become several times as frequent.
	CodeRatio = "ratio_shift"
	// CodeScenario: one key has had more events than a scenario allows.
	CodeScenario = "scenario_overflow"
	// CodeNovelty: something happened for the first time.
	CodeNovelty = "first_seen"
	// CodeGauge: a gauge is beyond its limit, or was not set any more.
	CodeGauge = "gauge_beyond_limit"
	// CodeBreach: a breach was declared; its 72 hours are running.
	CodeBreach = "breach_clock"
	// CodeWatcher: the watcher itself missed minutes, lost events, or cannot deliver.
	CodeWatcher = "watcher_impaired"
)

var (
	// ErrNoAlert is the error of a [Decision] about an alert that is not there.
	ErrNoAlert = errors.New("watch: there is no such alert")
	// ErrDecision is matched by the error of a [Decision] that lacks something.
	ErrDecision = errors.New("watch: a decision needs an alert, an action, an actor, a time " +
		"and a reason, and Silence and Expected an end within 30 days")
)
