package simulator_test

import (
	"maps"
	"strings"
	"testing"

	"pollbridge/simulator"
)

func TestOutcomesText(t *testing.T) {
	for text, want := range map[string]simulator.Outcomes{
		"succeeded=90,refused=5,expired=3,failed=2": {"succeeded": 90, "refused": 5, "expired": 3, "failed": 2},
		"refused":                              {"refused": 1},
		"failed:40403=0.5, expired:40801":      {"failed:40403": 0.5, "expired:40801": 1},
		"forgotten=1,waiting=1,failed:40022=0": {"forgotten": 1, "waiting": 1, "failed:40022": 0},
	} {
		var got simulator.Outcomes
		if err := got.UnmarshalText([]byte(text)); err != nil || !maps.Equal(got, want) {
			t.Errorf("%q = %v, %v; want %v", text, got, err, want)
		}
	}
	for text, complaint := range map[string]string{
		"":                        `"" is not an outcome`,
		"won=3":                   `"won" is not an outcome`,
		"refused=x":               `"refused=x" has no number`,
		"refused=-1":              "weight -1",
		"refused=NaN":             "weight NaN",
		"refused=0":               "no weight above 0",
		"refused=1,refused=2":     "stands twice",
		"failed:40402=1":          "accepted: [40022 40401",
		"failed:040403=1":         `"failed:040403" has a code`,
		"failed:=1":               `"failed:" has a code`,
		"succeeded:40020":         "accepted: []",
		"succeeded=1,,refused=2":  `"" is not an outcome`,
		"succeeded=1;refused=2":   `no number`,
		"refused:40020:40021":     "has a code",
		"succeeded=1,unknown:1=2": `"unknown:1" is not an outcome`,
	} {
		var got simulator.Outcomes
		err := got.UnmarshalText([]byte(text))
		if err == nil || !strings.Contains(err.Error(), complaint) || !strings.Contains(err.Error(), "accepted: ") {
			t.Errorf("%q: error %v; want %q and what is accepted", text, err, complaint)
		}
	}
}

func TestOutcomeProportions(t *testing.T) {
	sim := newSimulator(t, simulator.Config{Outcomes: simulator.Outcomes{"succeeded": 90, "refused": 5, "expired": 0, "failed:50003": 5}, Seed: 1})
	for range 2000 {
		start(t, sim, simulator.StartRequest{})
	}
	ended := sim.Stats().Ended
	if n := ended[simulator.Succeeded]; n < 1750 || n > 1850 {
		t.Errorf("%d of 2000 succeeded, want about 1800", n)
	}
	if ended[simulator.Refused] == 0 || ended[simulator.Failed] == 0 || ended[simulator.Expired] != 0 {
		t.Errorf("ended %v, want some refused and failed, none expired", ended)
	}
}
