package simulator_test

import (
	"strings"
	"testing"

	"pollbridge/simulator"
)

func TestOutcomesText(t *testing.T) {
	for text, back := range map[string]string{
		"succeeded=90,refused=5,expired=3,failed=2": "succeeded=90,refused=5,expired=3,failed=2",
		"refused":                              "refused=1",
		"failed:40403=0.5, expired:40801":      "failed:40403=0.5,expired:40801=1",
		"forgotten=1,waiting=1,failed:40022=1": "forgotten=1,waiting=1,failed:40022=1",
	} {
		got, err := simulator.ParseOutcomes(text)
		if err != nil || got.String() != back {
			t.Errorf("ParseOutcomes(%q) = %v, %v; want %v", text, got, err, back)
		}
	}
}

func TestOutcomesRefuse(t *testing.T) {
	for text, complaint := range map[string]string{
		"":                        `"" is not an outcome`,
		"won=3":                   `"won" is not an outcome`,
		"refused=x":               `weight "x"`,
		"refused=-1":              "weight -1",
		"refused=NaN":             "weight NaN",
		"refused=0":               "no weight above 0",
		"refused=1,refused=2":     "stands twice",
		"failed:40402=1":          "accepted: 40022, 40401",
		"failed:040403=1":         `"failed:040403" has a code`,
		"failed:=1":               `"failed:" has a code`,
		"succeeded:40020":         "accepted: none",
		"succeeded=1,,refused=2":  `"" is not an outcome`,
		"succeeded=1;refused=2":   `weight "1;refused=2"`,
		"refused:40020:40021":     "has a code",
		"succeeded=1,unknown:1=2": `"unknown:1" is not an outcome`,
	} {
		_, err := simulator.ParseOutcomes(text)
		if err == nil || !strings.Contains(err.Error(), complaint) || !strings.Contains(err.Error(), "accepted: ") {
			t.Errorf("ParseOutcomes(%q) error = %v; want %q and what is accepted", text, err, complaint)
		}
	}
}

func TestOutcomeProportions(t *testing.T) {
	mix, err := simulator.ParseOutcomes("succeeded=90,refused=5,expired=0,failed=5")
	if err != nil {
		t.Fatal(err)
	}
	sim := newSimulator(t, simulator.Config{Outcomes: mix, Seed: 1})
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
