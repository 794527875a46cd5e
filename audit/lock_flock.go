//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package audit

import (
	"errors"
	"os"
	"syscall"
)

// lock takes the directory for this Log until it is closed, by its process's end too. The
// lock is the open file's, so a second Log in the same process is refused as well.
func lock(f *os.File) error {
	// #nosec G115 -- a descriptor is a small number
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errLocked
	}
	return os.NewSyscallError("flock", err)
}
