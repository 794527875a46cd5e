package sallyport

import "strconv"

// ConfigError is one problem of a configuration. The constructors of this
// module report all problems at once, as an [errors.Join] of *ConfigError.
type ConfigError struct {
	// Gate is the package whose configuration it is.
	Gate string
	// Field is the field of Config, as written in Go ("Origins[2]"), or the name
	// of an environment variable.
	Field string
	// Value is the offending value. It is never a secret, and may be empty.
	Value string
	// Code is the kind of problem: one of the Config constants.
	Code string
	// Fix says what is wrong and what to write instead.
	Fix string
}

// The codes of a [ConfigError]. The list is closed: a program that explains
// configuration errors to its own users may switch on it.
const (
	// ConfigRequired: the field has no safe default and is not set.
	ConfigRequired = "required"
	// ConfigMalformed: the value cannot be read as what the field holds.
	ConfigMalformed = "malformed"
	// ConfigOutOfRange: a number, a duration or a length beyond its limits.
	ConfigOutOfRange = "out_of_range"
	// ConfigConflict: the value contradicts that of another field.
	ConfigConflict = "conflict"
	// ConfigDuplicate: the value is there twice.
	ConfigDuplicate = "duplicate"
	// ConfigUnknown: the value names something that is not there.
	ConfigUnknown = "unknown"
	// ConfigInsecure: well formed, but it would let an attacker in. Where it may
	// be wanted all the same, Fix names the field, which begins with Dangerously.
	ConfigInsecure = "insecure"
	// ConfigUnavailable: a server that the configuration names said no, or did
	// not answer.
	ConfigUnavailable = "unavailable"
)

// Error returns `gate: Field: "value": fix`, without the value where there is
// none.
func (e *ConfigError) Error() string {
	text := e.Gate + ": " + e.Field + ": "
	if e.Value != "" {
		text += strconv.Quote(e.Value) + ": "
	}
	return text + e.Fix
}
