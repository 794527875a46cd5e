package gates

import "github.com/opsmantik/sallyport/examples/ingest/settings"

// Shares is what is remembered of call events.
func Shares(s *settings.Settings) (entries, perSite int) { return shares(s) }

// Client is how people tell their sessions apart.
var Client = client
