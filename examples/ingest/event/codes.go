package event

// The codes of what cannot be decoded at all. Other handlers use them too.
const (
	// CodeInvalidJSON: 400. The body is not JSON.
	CodeInvalidJSON = "invalid_json"
	// CodeWrongShape: 422. JSON of another shape than the route wants.
	CodeWrongShape = "wrong_shape"
)

// The codes of bodies that break the contract, with their status. In a batch
// that holds a good event they are in the answer's list of rejected events.
const (
	codeActionInvalid      = "action_invalid"        // 422: ea is missing or too long
	codeAdsContextInvalid  = "ads_context_invalid"   // 422: ads_context is no object, or too deep
	codeBatchAmbiguous     = "batch_ambiguous"       // 422: events and batch at once
	codeBatchEmpty         = "batch_empty"           // 422: a batch without events
	codeBatchMixedSites    = "batch_mixed_sites"     // 400: events of more than one site
	codeBatchTooManyEvents = "batch_too_many_events" // 429: more than MaxBatch events
	codeCategoryInvalid    = "category_invalid"      // 422: ec is missing or too long
	codeConsentInvalid     = "consent_invalid"       // 422: more than 100 consent scopes
	codeEventIDInvalid     = "event_id_invalid"      // 422: event_id is no UUID
	codeFieldTooLong       = "field_too_long"        // 422: a field of a call is too long
	codeLabelTooLong       = "label_too_long"        // 422: el is too long
	codeMetaInvalid        = "meta_invalid"          // 422: meta is no object, or too deep
	codeMonthInvalid       = "month_invalid"         // 422: sm is no first of a month
	codeSessionInvalid     = "session_invalid"       // 422: sid is no UUID
	codeSiteMismatch       = "site_mismatch"         // 422: the body names another site than the signature
	codeSiteRequired       = "site_required"         // 422: s is missing
	codeURLRequired        = "url_required"          // 422: u and url are missing
	codeURLTooLong         = "url_too_long"          // 422: an address of a call is too long
	codeValueInvalid       = "value_invalid"         // 422: a value that is no number, string or null, or too long
)
