package sentryscrub_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/getsentry/sentry-go"
	"github.com/stretchr/testify/require"
)

// policies says for every exported field of the SDK's payload types how the
// first wall treats it: scrub (rebuilt from scrubbed copies), keep (carries
// no text of the application), empty (removed). A release of the SDK that
// adds, renames or removes a field must not build a green run.
var policies = map[string]string{
	"Event": "scrub:Breadcrumbs Contexts Dist Environment EventID Fingerprint Level Message Platform Release Sdk" +
		" ServerName Threads Tags Transaction Logger Modules Request Exception DebugMeta Attachments Spans" +
		" TransactionInfo CheckIn MonitorConfig Logs Metrics User keep:Timestamp Type StartTime",
	"Breadcrumb":       "scrub:Type Category Message Data Level keep:Timestamp",
	"User":             "scrub:ID empty:Email IPAddress Username Name Data",
	"Request":          "scrub:URL Method Data QueryString Headers Env empty:Cookies",
	"Exception":        "scrub:Type Value Module Stacktrace Mechanism keep:ThreadID",
	"Mechanism":        "scrub:Type Description HelpLink Source Data keep:Handled ParentID ExceptionID IsExceptionGroup",
	"Stacktrace":       "scrub:Frames keep:FramesOmitted",
	"Thread":           "scrub:ID Name Stacktrace keep:Crashed Current",
	"DebugMeta":        "scrub:SdkInfo Images",
	"DebugMetaSdkInfo": "scrub:SdkName keep:VersionMajor VersionMinor VersionPatchlevel",
	"DebugMetaImage": "scrub:Type ImageAddr DebugID DebugFile CodeID CodeFile ImageVmaddr Arch UUID" +
		" keep:ImageSize",
	"Attachment":      "scrub:Filename ContentType Payload",
	"TransactionInfo": "scrub:Source",
	"SdkInfo":         "scrub:Name Version Integrations Packages",
	"SdkPackage":      "scrub:Name Version",
	"CheckIn":         "scrub:ID MonitorSlug Status keep:Duration",
	"MonitorConfig": "scrub:Timezone keep:Schedule CheckInMargin MaxRuntime FailureIssueThreshold" +
		" RecoveryThreshold",
	"Log":    "scrub:Level Body Attributes keep:Timestamp TraceID SpanID Severity",
	"Metric": "scrub:Type Name Unit Attributes keep:Timestamp TraceID SpanID Value",
	"Span": "scrub:Name Op Description Tags Data Source Origin keep:TraceID SpanID ParentSpanID Status" +
		" StartTime EndTime Sampled",
	"Frame": "scrub:Function Symbol Module Filename AbsPath PreContext ContextLine PostContext Vars Package" +
		" InstructionAddr AddrMode SymbolAddr ImageAddr Platform keep:Lineno Colno InApp StackStart",
	// The hooks and transports that Configure must know about.
	"ClientOptions": "scrub:BeforeSend BeforeSendTransaction BeforeSendLog BeforeSendMetric BeforeBreadcrumb" +
		" SendDefaultPII DataCollection HTTPClient HTTPTransport HTTPProxy HTTPSProxy CaCerts DebugWriter Transport" +
		" keep:Dsn Debug AttachStacktrace SampleRate EnableTracing TracesSampleRate TracesSampler" +
		" TracePropagationTargets PropagateTraceparent StrictTraceContinuation OrgID IgnoreErrors" +
		" IgnoreTransactions Integrations ServerName Release Dist Environment MaxBreadcrumbs MaxSpans" +
		" MaxErrorDepth Tags DisableClientReports TraceIgnoreStatusCodes DisableTelemetryBuffer",
	"DataCollection": "empty:UserInfo Cookies HTTPBodies QueryParams scrub:HTTPHeaders",
}

func policyFields(policy string) []string {
	var all []string
	for word := range strings.FieldsSeq(policy) {
		_, name, found := strings.Cut(word, ":")
		if !found {
			name = word
		}
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func TestSchemaDrift(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	queue := []reflect.Type{
		reflect.TypeFor[sentry.Event](), reflect.TypeFor[sentry.ClientOptions](), reflect.TypeFor[sentry.DataCollection](),
	}
	for len(queue) > 0 {
		typ := queue[0]
		queue = queue[1:]
		if seen[typ.Name()] {
			continue
		}
		seen[typ.Name()] = true
		policy, ok := policies[typ.Name()]
		require.True(t, ok, "the SDK has a new payload type %s: give it a policy and rebuild it", typ)
		var fields []string
		for f := range typ.Fields() {
			if !f.IsExported() {
				continue
			}
			fields = append(fields, f.Name)
			if next := element(f.Type); payload(next) && !strings.HasPrefix(typ.Name(), "ClientOptions") {
				queue = append(queue, next)
			}
		}
		slices.Sort(fields)
		require.Equal(t, policyFields(policy), fields, "the fields of %s changed: every one needs a policy", typ)
	}
	for name := range policies {
		require.True(t, seen[name], "the policy of %s describes nothing", name)
	}
}

// element strips pointers, slices and maps.
func element(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t
}

// payload reports whether t is one of the SDK's own structs with text in it.
func payload(t reflect.Type) bool {
	if t.Kind() != reflect.Struct || !strings.Contains(t.PkgPath(), "sentry-go") {
		return false
	}
	switch t.Name() {
	case "Value", "MetricValue", "KeyValueCollectionBehavior", "HeaderCollectionConfig":
		return false
	}
	return !strings.HasPrefix(t.Name(), "Option[")
}
