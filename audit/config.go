package audit

import (
	"errors"
	"strconv"
)

// DefaultQueue is the default of [Config.Queue].
const DefaultQueue = 1024

// Config configures a [Log]. New copies it.
type Config struct {
	_ [0]func() // keyed literals only; not comparable

	// Path is the log file. Required. It is created with mode 0600 in a directory
	// that exists.
	Path string

	// Queue is how many records may wait for the disk. Default [DefaultQueue]; 1
	// to 65536. When it is full, Append waits.
	Queue int

	// OnCommit, if set, is called after each batch, by the goroutine that writes: how
	// many records were in it, and why they failed. A log that broke writes nothing,
	// and still calls it for what it refuses.
	OnCommit func(records int, err error)
}

func (c Config) validate() error {
	var errs []error
	if c.Path == "" {
		errs = append(errs, &ConfigError{"Path", "", "is required"})
	}
	if c.Queue < 1 || c.Queue > 1<<16 {
		errs = append(errs, &ConfigError{"Queue", strconv.Itoa(c.Queue), "want 1 to 65536"})
	}
	return errors.Join(errs...)
}
