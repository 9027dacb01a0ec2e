package main

import "syscall"

// childAttributes puts a child into a group of its own, so that Ctrl-C reaches
// the bench alone, which then stops its children in order; and has the kernel
// end the child should the bench be killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
