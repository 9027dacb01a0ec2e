//go:build !linux

package main

import "os"

func scratchParent() string { return os.TempDir() }
