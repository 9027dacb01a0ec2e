package simulator_test

import (
	"strings"
	"testing"
	"time"

	"pollbridge/simulator"
)

func TestDurationsText(t *testing.T) {
	for _, tt := range []struct {
		text string
		want simulator.Durations
		back string
	}{
		{"3s", simulator.Fixed(3 * time.Second), "3s"},
		{"fixed:250ms", simulator.Fixed(250 * time.Millisecond), "250ms"},
		{"0s", simulator.Durations{}, "0s"},
		{" uniform:1s..5s ", simulator.Uniform(time.Second, 5*time.Second), "uniform:1s..5s"},
		{"exp:3s", simulator.Exponential(3 * time.Second), "exp:3s"},
		{"lognormal:3s,0.5", simulator.LogNormal(3*time.Second, 0.5), "lognormal:3s,0.5"},
	} {
		got, err := simulator.ParseDurations(tt.text)
		if err != nil || got != tt.want || got.String() != tt.back {
			t.Errorf("ParseDurations(%q) = %v, %v; want %v", tt.text, got, err, tt.back)
		}
	}
}

func TestDurationsRefuse(t *testing.T) {
	for text, complaint := range map[string]string{
		"":                 `"" is not a duration`,
		"3":                `"3" is not a duration`,
		"-3s":              "-3s is out of range",
		"25h":              "25h0m0s is out of range",
		"uniform:1s":       "has no ..",
		"uniform:5s..1s":   "runs backwards",
		"lognormal:3s":     "has no sigma",
		"lognormal:3s,x":   `sigma "x"`,
		"lognormal:3s,9":   "sigma 9 is out of range",
		"lognormal:3s,NaN": "sigma NaN is out of range",
		"normal:3s":        `"normal" is not a distribution`,
	} {
		_, err := simulator.ParseDurations(text)
		if err == nil || !strings.Contains(err.Error(), complaint) || !strings.Contains(err.Error(), "accepted: ") {
			t.Errorf("ParseDurations(%q) error = %v; want %q and what is accepted", text, err, complaint)
		}
	}
}

func TestSizesText(t *testing.T) {
	for text, back := range map[string]string{
		"64KiB":              "64KiB",
		"65536":              "64KiB",
		"1.5MiB":             "1536KiB",
		"10KB":               "10000B",
		"0":                  "0B",
		"uniform:10KiB..1MB": "uniform:10KiB..1000000B",
		"exp:1GiB":           "exp:1GiB",
		"lognormal:64KiB,1":  "lognormal:64KiB,1",
	} {
		got, err := simulator.ParseSizes(text)
		if err != nil || got.String() != back {
			t.Errorf("ParseSizes(%q) = %v, %v; want %v", text, got, err, back)
		}
	}
	for _, text := range []string{"", "x", "3XB", "2GiB", "-1", "NaN", "uniform:2..1"} {
		if got, err := simulator.ParseSizes(text); err == nil || !strings.Contains(err.Error(), "accepted: ") {
			t.Errorf("ParseSizes(%q) = %v, %v; want an error with what is accepted", text, got, err)
		}
	}
}

func TestDrawnTimes(t *testing.T) {
	const n = 2000
	for _, tt := range []struct {
		d                simulator.Durations
		least, most      time.Duration // of each
		lowMean, topMean time.Duration
	}{
		{simulator.Fixed(time.Second), time.Second, time.Second, time.Second, time.Second},
		{simulator.Uniform(time.Second, 5*time.Second), time.Second, 5 * time.Second, 2800 * time.Millisecond, 3200 * time.Millisecond},
		{simulator.Exponential(time.Second), 0, time.Minute, 900 * time.Millisecond, 1100 * time.Millisecond},
		// The mean of a log-normal is exp(sigma²/2) times its median.
		{simulator.LogNormal(time.Second, 0.5), 0, time.Minute, 1050 * time.Millisecond, 1220 * time.Millisecond},
	} {
		sim := newSimulator(t, simulator.Config{SignAfter: tt.d, Seed: 1, Now: newClock().Now})
		var sum time.Duration
		for range n {
			session := start(t, sim, simulator.StartRequest{})
			took := session.Ends.Sub(session.Started)
			if took < tt.least || took > tt.most {
				t.Errorf("%v drew %v, want %v to %v", tt.d, took, tt.least, tt.most)
			}
			sum += took
		}
		if mean := sum / n; mean < tt.lowMean || mean > tt.topMean {
			t.Errorf("%v has mean %v, want %v to %v", tt.d, mean, tt.lowMean, tt.topMean)
		}
	}
}

func TestSeedRepeats(t *testing.T) {
	cfg := simulator.DefaultConfig()
	cfg.Seed = 7
	cfg.Now = newClock().Now
	cfg.SignAfter = simulator.Exponential(time.Second)
	one, two := newSimulator(t, cfg), newSimulator(t, cfg)
	for range 20 {
		a := start(t, one, simulator.StartRequest{Outcome: simulator.Refused}) // what is fixed is drawn all the same
		b := start(t, two, simulator.StartRequest{})
		if a.Token != b.Token || !a.Ends.Equal(b.Ends) || a.ControlCode != b.ControlCode {
			t.Fatalf("same seed, but %+v and %+v", a, b)
		}
	}
	cfg.Seed = 0
	if a, b := newSimulator(t, cfg), newSimulator(t, cfg); a.Stats().Seed == b.Stats().Seed {
		t.Errorf("two simulators without a seed both chose %d", a.Stats().Seed)
	}
}
