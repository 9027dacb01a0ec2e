package main

import "testing"

func TestFirstVersion(t *testing.T) {
	for text, want := range map[string]string{
		"nginx version: nginx/1.22.1\n":                                "1.22.1",
		"varnishd (varnish-7.1.1 revision 7cee1c58)\n":                 "7.1.1",
		"wrk debian/4.1.0-3+b2 [epoll] Copyright (C) 2012 Will Glozer": "4.1.0-3",
		"nothing": "",
	} {
		if got := firstVersion(text); got != want {
			t.Errorf("firstVersion(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestFirstLine(t *testing.T) {
	if got, want := firstLine("# pollbridge/cmd/pollbridge\n\nmain.go:1: wrong\nmore\n", "exit status 1"), "main.go:1: wrong"; got != want {
		t.Errorf("firstLine = %q, want %q", got, want)
	}
	if got, want := firstLine("# pollbridge\n", "exit status 1"), "exit status 1"; got != want {
		t.Errorf("firstLine = %q, want %q", got, want)
	}
}
