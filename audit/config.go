package audit

import (
	"context"
	"strconv"

	"github.com/opsmantik/sallyport"
	"github.com/opsmantik/sallyport/internal/configerr"
)

const (
	defaultQueue   = 1024
	defaultSegment = 64 << 20
)

// Config configures a [Log]. New copies it.
type Config struct {
	_ [0]func() // keyed literals only; not comparable

	// Dir is the directory of the log. Required. It is created with mode 0700, in a
	// directory that exists. It belongs to one log alone.
	//
	// Permitted: "/var/lib/shop/audit", "audit". Refused: "", a file, a symbolic
	// link to a file.
	Dir string

	// SegmentBytes is the size from which on the log continues in a new file.
	// Default 64 MiB; 1 MiB to 1 TiB. Retention archives whole files, so a month
	// should fill at least one.
	SegmentBytes int64

	// Queue is how many records may wait for the disk. Default 1024; 1 to 65536.
	// When it is full, Append waits until its context ends.
	Queue int

	// OnEvent, if set, is called once for each call of [Log.Append], by the goroutine
	// that called it and after the outcome is known. Detail is the [Receipt] of a
	// record that is durable. A call of Append in it is refused with
	// [CodeInsideHook].
	OnEvent func(context.Context, sallyport.Event)

	// ProblemBase is what the type URI of a refusal begins with. Default: this
	// project's docs/problems.md.
	ProblemBase string
}

func (c Config) withDefaults() Config {
	if c.Queue == 0 {
		c.Queue = defaultQueue
	}
	if c.SegmentBytes == 0 {
		c.SegmentBytes = defaultSegment
	}
	return c
}

func (c Config) validate() error {
	problems := configerr.For(gate)
	if c.Dir == "" {
		problems.Add("Dir", "", sallyport.ConfigRequired, "name the directory of the log")
	}
	if c.Queue < 1 || c.Queue > 1<<16 {
		problems.Add("Queue", strconv.Itoa(c.Queue), sallyport.ConfigOutOfRange,
			"want 1 to 65536")
	}
	if c.SegmentBytes < 1<<20 || c.SegmentBytes > 1<<40 {
		problems.Add("SegmentBytes", strconv.FormatInt(c.SegmentBytes, 10),
			sallyport.ConfigOutOfRange, "want 1 MiB to 1 TiB")
	}
	return problems.Err()
}
