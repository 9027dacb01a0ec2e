//go:build !unix

package socket

func look(uintptr) State { return Unknown }
