package main

import (
	"os"
	"regexp"
	"testing"
)

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

// The bare server shows what the HTTP library costs, so it has to be the same one.
func TestBareServerHasPollbridgesLibraries(t *testing.T) {
	ours, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, library := range []string{"github.com/gofiber/fiber/v2", "github.com/valyala/fasthttp"} {
		required := regexp.MustCompile(regexp.QuoteMeta(library) + ` v\S+`)
		if got, want := required.FindString(string(ours)), required.FindString(string(theirs)); got != want || got == "" {
			t.Errorf("bench/go.mod requires %q, go.mod %q; want the same", got, want)
		}
	}
}
