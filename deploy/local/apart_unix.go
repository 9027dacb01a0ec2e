//go:build unix

package main

import "syscall"

// apart has Ctrl-C end this command only, which then ends the others in order.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
