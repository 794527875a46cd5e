package audit

// The tests need a file system that forgets what was not synced: killing a process
// cannot test fsync, because the page cache survives it.

type File = file

type Filesystem = filesystem

func NewOn(fs Filesystem, cfg Config) (*Log, error) { return open(fs, cfg) }
