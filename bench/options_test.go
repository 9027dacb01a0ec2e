package main

import (
	"io"
	"strings"
	"testing"
	"time"
)

func TestParseOptions(t *testing.T) {
	got, err := parseOptions([]string{"-only", "final, hot", "-rounds", "2", "-duration", "3s", "-connections", "8", "-steady", "1m", "-pollbridge", "x"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.scenarios) != 2 || got.scenarios[0].name != "hot" || got.scenarios[1].name != "final" {
		t.Errorf("scenarios = %v, want hot, then final", got.scenarios)
	}
	if got.rounds != 2 || got.duration != 3*time.Second || got.connections != 8 || got.steady != time.Minute || got.otherBuild != "x" {
		t.Errorf("parseOptions = %+v", got)
	}
}

func TestParseOptionsDefaultsToAll(t *testing.T) {
	got, err := parseOptions(nil, io.Discard)
	if err != nil || len(got.scenarios) != len(scenarios()) {
		t.Errorf("parseOptions = %d scenarios, %v; want %d", len(got.scenarios), err, len(scenarios()))
	}
}

func TestParseOptionsNamesEveryMistake(t *testing.T) {
	_, err := parseOptions([]string{"-only", "hot,warm", "-rounds", "0", "-duration", "1500ms", "-connections", "1", "-steady", "0s", "extra"}, io.Discard)
	if err == nil {
		t.Fatal("want an error")
	}
	for _, part := range []string{`"warm"`, "-rounds 0", "-duration 1.5s", "-connections 1", "-steady 0s", `"extra"`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not name %s", err, part)
		}
	}
}
