package sentryscrub

import "github.com/getsentry/sentry-go"

// span copies the exported fields. The live span's maps are read, not
// shared: they belong to the application.
func (p *pass) span(s *sentry.Span) *sentry.Span {
	if s == nil {
		return &sentry.Span{}
	}
	return &sentry.Span{
		TraceID:      s.TraceID,
		SpanID:       s.SpanID,
		ParentSpanID: s.ParentSpanID,
		Name:         p.text(s.Name),
		Op:           p.text(s.Op),
		Description:  p.text(s.Description),
		Status:       s.Status,
		Tags:         p.table(s.Tags),
		StartTime:    s.StartTime,
		EndTime:      s.EndTime,
		Data:         p.data(s.Data),
		Sampled:      s.Sampled,
		Source:       sentry.TransactionSource(p.text(string(s.Source))),
		Origin:       sentry.SpanOrigin(p.text(string(s.Origin))),
	}
}

func (p *pass) transactionInfo(i *sentry.TransactionInfo) *sentry.TransactionInfo {
	if i == nil {
		return nil
	}
	return &sentry.TransactionInfo{Source: sentry.TransactionSource(p.text(string(i.Source)))}
}

func (p *pass) log(l *sentry.Log) *sentry.Log {
	clean := p.logValue(*l)
	return &clean
}

func (p *pass) logValue(l sentry.Log) sentry.Log {
	return sentry.Log{
		Timestamp:  l.Timestamp,
		TraceID:    l.TraceID,
		SpanID:     l.SpanID,
		Level:      sentry.LogLevel(p.text(string(l.Level))),
		Severity:   l.Severity,
		Body:       p.text(l.Body),
		Attributes: p.attributes(l.Attributes),
	}
}

func (p *pass) metric(m *sentry.Metric) *sentry.Metric {
	clean := p.metricValue(*m)
	return &clean
}

// metricValue drops a metric whose number is itself a card: there is no
// number to put in its place.
func (p *pass) metricValue(m sentry.Metric) sentry.Metric {
	if _, rep, err := p.s.Value(m.Value.AsInterface()); err != nil || rep.Total() > 0 {
		p.failed = true
	}
	return sentry.Metric{
		Timestamp:  m.Timestamp,
		TraceID:    m.TraceID,
		SpanID:     m.SpanID,
		Type:       sentry.MetricType(p.text(string(m.Type))),
		Name:       p.text(m.Name),
		Value:      m.Value,
		Unit:       p.text(m.Unit),
		Attributes: p.attributes(m.Attributes),
	}
}

func (p *pass) checkIn(c *sentry.CheckIn) *sentry.CheckIn {
	if c == nil {
		return nil
	}
	return &sentry.CheckIn{
		ID: p.eventID(c.ID), MonitorSlug: p.text(c.MonitorSlug),
		Status: sentry.CheckInStatus(p.text(string(c.Status))), Duration: c.Duration,
	}
}

// monitor keeps the schedule, whose types are the SDK's own; the second wall
// scrubs its text.
func (p *pass) monitor(m *sentry.MonitorConfig) *sentry.MonitorConfig {
	if m == nil {
		return nil
	}
	return &sentry.MonitorConfig{
		Schedule: m.Schedule, CheckInMargin: m.CheckInMargin, MaxRuntime: m.MaxRuntime,
		Timezone: p.text(m.Timezone), FailureIssueThreshold: m.FailureIssueThreshold,
		RecoveryThreshold: m.RecoveryThreshold,
	}
}
