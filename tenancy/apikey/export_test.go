package apikey

// WellFormed is the check of the form alone, NewKey makes a key.
var (
	WellFormed = wellFormed
	NewKey     = newKey
)
