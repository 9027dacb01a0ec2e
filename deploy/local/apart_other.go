//go:build !unix

package main

import "syscall"

// apart needs groups of processes.
func apart() *syscall.SysProcAttr { return nil }
