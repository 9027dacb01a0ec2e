package main

import (
	"strings"
	"testing"

	"pollbridge/internal/testkit"
)

// TestStandardInputTwice: a second flag that names it would take nothing for its value.
func TestStandardInputTwice(t *testing.T) {
	in := &input{Reader: strings.NewReader("sesame\n")}
	secret, err := readSecret(in, "--account-file", "-")
	testkit.NoError(t, err)
	if secret != "sesame" {
		t.Errorf("--account-file - is %q; want the line of standard input", secret)
	}
	headers, err := readHeaders(in, "--headers-file", "-")
	if err == nil || exitCode(err) != exitMisused || !strings.Contains(err.Error(), "--headers-file: is -, but --account-file has read standard input") {
		t.Errorf("--headers-file - is then %v, %v; want a mistake that names both", headers, err)
	}
}
