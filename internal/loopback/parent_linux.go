package loopback

import "syscall"

// dieWithParent has the kernel kill the server when the test process dies.
// Postgres' children notice the death of their postmaster by themselves.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
