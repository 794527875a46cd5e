package load

import (
	"fmt"
	"strconv"
	"strings"
)

// labelPrefix begins the label of an event, and its number ends it: that is what the ledger finds in storage.
const labelPrefix = "load-"

// appendBatch renders events of one visitor as the tracker sends them: a view, then
// what it measures, about 590 bytes each.
func appendBatch(b []byte, site string, first int64, n int) []byte {
	if n > 1 {
		b = append(b, `{"events":[`...)
	}
	session := uuid(first)
	for i := range int64(n) {
		if i > 0 {
			b = append(b, ',')
		}
		action := `"ec":"system","ea":"heartbeat"`
		if i == 0 {
			action = `"ec":"interaction","ea":"view"`
		}
		b = append(b, `{"s":"`...)
		b = append(b, site...)
		b = append(b, `","u":"https://shop.example/category/shoes/running?utm_source=google`+
			`&gclid=EAIaIQobChMI","sid":"`...)
		b = append(b, session...)
		b = append(b, `","sm":"",`...)
		b = append(b, action...)
		b = append(b, `,"el":"`+labelPrefix...)
		b = strconv.AppendInt(b, first+i, 10)
		b = append(b, `","ev":null,"r":"https://www.google.com/","meta":{"fp":"9f86d081884c7d65",`+
			`"om_tracker_version":"3.4.1","gclid":"EAIaIQobChMI","screen":"1512x982","viewport":"1512x860",`+
			`"device":"desktop","lang":"en-GB","tz":"Europe/Istanbul","scroll_depth":`...)
		b = strconv.AppendInt(b, i*5%100, 10)
		b = append(b, `,"duration_sec":`...)
		b = strconv.AppendInt(b, i*60, 10)
		b = append(b, `},"consent_scopes":["analytics"]}`...)
	}
	if n > 1 {
		b = append(b, `]}`...)
	}
	return b
}

// appendCall renders call event number n.
func appendCall(b []byte, site string, n int64) []byte {
	return fmt.Appendf(b, `{"event_id":"%s","site_id":"%s","fingerprint":"9f86d081884c7d65",`+
		`"phone_number":"+905551112233","action":"phone","intent_action":"phone_call",`+
		`"intent_target":"tel:+905551112233","url":"https://shop.example/contact"}`, uuid(n), site)
}

// uuid names number n, so that the number can be read from it.
func uuid(n int64) string {
	return fmt.Sprintf("%08x-0000-4000-8000-%012x", uint32(n>>16), n) // #nosec G115 -- a spelling
}

// number reads what label or uuid wrote.
func number(name string) (n int64, ok bool) {
	if digits, found := strings.CutPrefix(name, labelPrefix); found {
		n, err := strconv.ParseInt(digits, 10, 64)
		return n, err == nil
	}
	if len(name) != len("00000000-0000-4000-8000-000000000000") {
		return 0, false
	}
	n, err := strconv.ParseInt(name[24:], 16, 64)
	return n, err == nil && uuid(n) == name
}
