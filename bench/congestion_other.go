//go:build !linux

package main

func congestionControl() string { return "unknown" }
