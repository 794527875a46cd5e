package event

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Call is one signed call intent (POST /api/call-event/v2).
type Call struct {
	EventID     string         `json:"event_id"`
	Site        string         `json:"site_id"`
	Fingerprint string         `json:"fingerprint"`
	Phone       string         `json:"phone_number"`
	Action      string         `json:"action"`
	Intent      string         `json:"intent_action"`
	Target      string         `json:"intent_target"`
	Stamp       string         `json:"intent_stamp"`
	PageURL     string         `json:"intent_page_url"`
	URL         string         `json:"url"`
	UserAgent   string         `json:"ua"`
	Value       jsontext.Value `json:"value,omitzero"`
	ClickID     string         `json:"click_id"`
	GCLID       string         `json:"gclid"`
	WBRAID      string         `json:"wbraid"`
	GBRAID      string         `json:"gbraid"`
	AdsContext  jsontext.Value `json:"ads_context,omitzero"`
}

// ParseCall decodes the signed body of a call event and checks that it speaks
// of the site that signed it. Unknown members are refused, the consent fields
// among them: a page cannot assert consent on a signed channel, the site that
// holds the secret answers for it.
func ParseCall(body []byte, signedSite string) (*Call, error) {
	var c Call
	if err := json.Unmarshal(clean(body), &c, json.RejectUnknownMembers(true)); err != nil {
		return nil, decodeError(err)
	}
	c.Site, c.EventID = NormalSite(c.Site), strings.ToLower(c.EventID)
	c.AdsContext = object(c.AdsContext)
	_, whole := read(c.AdsContext)
	switch {
	case c.Site != NormalSite(signedSite):
		return nil, invalid(codeSiteMismatch)
	case c.EventID != "" && !uuidForm.MatchString(c.EventID):
		return nil, invalid(codeEventIDInvalid)
	case len(c.URL) > maxURL || len(c.PageURL) > maxURL:
		return nil, invalid(codeURLTooLong)
	case len(c.Action) > maxName || len(c.Intent) > maxName || len(c.Phone) > maxPhone:
		return nil, invalid(codeFieldTooLong)
	case len(c.Fingerprint) > maxLabel || len(c.Target) > maxLabel || len(c.UserAgent) > maxLabel:
		return nil, invalid(codeFieldTooLong)
	case len(c.Stamp) > maxLabel || len(c.ClickID) > maxLabel || len(c.GCLID) > maxLabel:
		return nil, invalid(codeFieldTooLong)
	case len(c.WBRAID) > maxLabel || len(c.GBRAID) > maxLabel:
		return nil, invalid(codeFieldTooLong)
	case !whole:
		return nil, invalid(codeAdsContextInvalid)
	case !scalar(c.Value):
		return nil, invalid(codeValueInvalid)
	}
	return &c, nil
}

// NameAfter gives a call without an event id the signed message as its identity:
// older trackers and the plugin send none. It is no UUID, so it meets no other.
func (c *Call) NameAfter(timestamp string, body []byte) {
	if c.EventID != "" {
		return
	}
	digest := sha256.Sum256(append([]byte(timestamp+"."), body...))
	c.EventID = "signed-" + hex.EncodeToString(digest[:])
}

// identity returns the digest of the whole call, by which one that is sent again
// is told from another one under the same event id.
func (c *Call) identity() [sha256.Size]byte {
	text, err := json.Marshal(c)
	if err != nil {
		return [sha256.Size]byte{} // it cannot be queued either
	}
	return sha256.Sum256(canonical(text))
}
