package sentryscrub

import (
	"strings"

	"github.com/getsentry/sentry-go"
)

// event rebuilds an error or a transaction. Every field of the SDK's types is
// listed here or in a function below; TestSchemaDrift fails on a new one.
func (p *pass) event(e *sentry.Event) *sentry.Event {
	return &sentry.Event{
		Breadcrumbs:     each(e.Breadcrumbs, p.breadcrumb),
		Contexts:        p.contexts(e.Contexts),
		Dist:            p.text(e.Dist),
		Environment:     p.text(e.Environment),
		EventID:         p.eventID(e.EventID),
		Fingerprint:     p.texts(e.Fingerprint),
		Level:           sentry.Level(p.text(string(e.Level))),
		Message:         p.text(e.Message),
		Platform:        p.text(e.Platform),
		Release:         p.text(e.Release),
		Sdk:             p.sdk(e.Sdk),
		ServerName:      p.text(e.ServerName),
		Threads:         each(e.Threads, p.thread),
		Tags:            p.table(e.Tags),
		Timestamp:       e.Timestamp,
		Transaction:     p.text(e.Transaction),
		User:            p.user(e.User),
		Logger:          p.text(e.Logger),
		Modules:         p.table(e.Modules),
		Request:         p.request(e.Request),
		Exception:       each(e.Exception, p.exception),
		DebugMeta:       p.debugMeta(e.DebugMeta),
		Attachments:     each(e.Attachments, p.attachment),
		Type:            e.Type, // selects the envelope's item; set by the SDK
		StartTime:       e.StartTime,
		Spans:           each(e.Spans, p.span),
		TransactionInfo: p.transactionInfo(e.TransactionInfo),
		CheckIn:         p.checkIn(e.CheckIn),
		MonitorConfig:   p.monitor(e.MonitorConfig),
		Logs:            each(e.Logs, p.logValue),
		Metrics:         each(e.Metrics, p.metricValue),
	}
}

// each copies a slice; nil stays nil.
func each[T any](all []T, clean func(T) T) []T {
	if all == nil {
		return nil
	}
	out := make([]T, len(all))
	for i, v := range all {
		out[i] = clean(v)
	}
	return out
}

// eventID keeps what is an identifier; the field is only a string.
func (p *pass) eventID(id sentry.EventID) sentry.EventID {
	if len(id) == 32 && strings.Trim(string(id), "0123456789abcdef") == "" {
		return id
	}
	return sentry.EventID(p.text(string(id)))
}

func (p *pass) contexts(all map[string]sentry.Context) map[string]sentry.Context {
	clean := make(map[string]sentry.Context, len(all))
	for k, v := range all {
		clean[p.text(k)] = p.context(v)
	}
	return clean
}

func (p *pass) breadcrumb(b *sentry.Breadcrumb) *sentry.Breadcrumb {
	if b == nil {
		return &sentry.Breadcrumb{}
	}
	return &sentry.Breadcrumb{
		Type:      p.text(b.Type),
		Category:  p.text(b.Category),
		Message:   p.text(b.Message),
		Data:      p.data(b.Data),
		Level:     sentry.Level(p.text(string(b.Level))),
		Timestamp: b.Timestamp,
	}
}

func (p *pass) sdk(i sentry.SdkInfo) sentry.SdkInfo {
	return sentry.SdkInfo{
		Name:         p.text(i.Name),
		Version:      p.text(i.Version),
		Integrations: p.texts(i.Integrations),
		Packages: each(i.Packages, func(k sentry.SdkPackage) sentry.SdkPackage {
			return sentry.SdkPackage{Name: p.text(k.Name), Version: p.text(k.Version)}
		}),
	}
}

// user keeps the identifier alone. A name cannot be told from other words, so
// the fields made for names, addresses and free data are emptied.
func (p *pass) user(u sentry.User) sentry.User {
	return sentry.User{ID: p.text(u.ID)}
}

func (p *pass) request(r *sentry.Request) *sentry.Request {
	if r == nil {
		return nil
	}
	query, _ := p.s.Query(r.QueryString)
	cookies := ""
	if r.Cookies != "" {
		cookies = "[token]"
	}
	return &sentry.Request{
		URL:         p.address(r.URL),
		Method:      p.text(r.Method),
		Data:        string(p.document([]byte(r.Data))),
		QueryString: query,
		Cookies:     cookies,
		Headers:     p.table(r.Headers),
		Env:         p.table(r.Env),
	}
}

// address scrubs a URL: its query parameter by parameter, the rest as text.
func (p *pass) address(u string) string {
	before, query, found := strings.Cut(u, "?")
	if !found {
		return p.text(u)
	}
	query, fragment, hasFragment := strings.Cut(query, "#")
	clean, _ := p.s.Query(query)
	before = p.text(before) + "?" + clean
	if hasFragment {
		before += "#" + p.text(fragment)
	}
	return before
}

func (p *pass) exception(x sentry.Exception) sentry.Exception {
	return sentry.Exception{
		Type:       p.text(x.Type),
		Value:      p.text(x.Value),
		Module:     p.text(x.Module),
		ThreadID:   x.ThreadID,
		Stacktrace: p.stacktrace(x.Stacktrace),
		Mechanism:  p.mechanism(x.Mechanism),
	}
}

func (p *pass) mechanism(m *sentry.Mechanism) *sentry.Mechanism {
	if m == nil {
		return nil
	}
	return &sentry.Mechanism{
		Type:             p.text(m.Type),
		Description:      p.text(m.Description),
		HelpLink:         p.address(m.HelpLink),
		Source:           p.text(m.Source),
		Handled:          m.Handled,
		ParentID:         m.ParentID,
		ExceptionID:      m.ExceptionID,
		IsExceptionGroup: m.IsExceptionGroup,
		Data:             p.data(m.Data),
	}
}

func (p *pass) thread(t sentry.Thread) sentry.Thread {
	return sentry.Thread{
		ID: p.text(t.ID), Name: p.text(t.Name), Stacktrace: p.stacktrace(t.Stacktrace),
		Crashed: t.Crashed, Current: t.Current,
	}
}

func (p *pass) stacktrace(s *sentry.Stacktrace) *sentry.Stacktrace {
	if s == nil {
		return nil
	}
	return &sentry.Stacktrace{Frames: each(s.Frames, p.frame), FramesOmitted: s.FramesOmitted}
}

func (p *pass) frame(f sentry.Frame) sentry.Frame {
	return sentry.Frame{
		Function:        p.text(f.Function),
		Symbol:          p.text(f.Symbol),
		Module:          p.text(f.Module),
		Filename:        p.text(f.Filename),
		AbsPath:         p.text(f.AbsPath),
		Lineno:          f.Lineno,
		Colno:           f.Colno,
		PreContext:      p.texts(f.PreContext),
		ContextLine:     p.text(f.ContextLine),
		PostContext:     p.texts(f.PostContext),
		InApp:           f.InApp,
		Vars:            p.data(f.Vars),
		Package:         p.text(f.Package),
		InstructionAddr: p.text(f.InstructionAddr),
		AddrMode:        p.text(f.AddrMode),
		SymbolAddr:      p.text(f.SymbolAddr),
		ImageAddr:       p.text(f.ImageAddr),
		Platform:        p.text(f.Platform),
		StackStart:      f.StackStart,
	}
}

func (p *pass) debugMeta(m *sentry.DebugMeta) *sentry.DebugMeta {
	if m == nil {
		return nil
	}
	clean := &sentry.DebugMeta{Images: each(m.Images, p.image)}
	if i := m.SdkInfo; i != nil {
		clean.SdkInfo = &sentry.DebugMetaSdkInfo{
			SdkName: p.text(i.SdkName), VersionMajor: i.VersionMajor,
			VersionMinor: i.VersionMinor, VersionPatchlevel: i.VersionPatchlevel,
		}
	}
	return clean
}

func (p *pass) image(i sentry.DebugMetaImage) sentry.DebugMetaImage {
	return sentry.DebugMetaImage{
		Type: p.text(i.Type), ImageAddr: p.text(i.ImageAddr), ImageSize: i.ImageSize,
		DebugID: p.text(i.DebugID), DebugFile: p.text(i.DebugFile), CodeID: p.text(i.CodeID),
		CodeFile: p.text(i.CodeFile), ImageVmaddr: p.text(i.ImageVmaddr), Arch: p.text(i.Arch),
		UUID: p.text(i.UUID),
	}
}

func (p *pass) attachment(a *sentry.Attachment) *sentry.Attachment {
	if a == nil {
		return &sentry.Attachment{}
	}
	return &sentry.Attachment{
		Filename:    p.text(a.Filename),
		ContentType: p.text(a.ContentType),
		Payload:     p.document(a.Payload),
	}
}
