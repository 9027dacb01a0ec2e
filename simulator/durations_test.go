package simulator_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/simulator"
)

func TestDurationsText(t *testing.T) {
	for text, want := range map[string]simulator.Durations{
		"3s":               simulator.Fixed(3 * time.Second),
		" uniform:1s..5s ": simulator.Uniform(time.Second, 5*time.Second),
		"lognormal:3s,0.5": simulator.LogNormal(3*time.Second, 0.5),
	} {
		var got simulator.Durations
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q = %v, %v; want %v", text, got, err, want)
		}
	}
	for text, complaint := range map[string]string{
		"":                 `"" is not a duration`,
		"3":                `"3" is not a duration`,
		"-3s":              "-3s is out of range",
		"25h":              "25h0m0s is out of range",
		"uniform:1s":       `"" is not a duration`,
		"uniform:5s..1s":   "runs backwards",
		"lognormal:3s":     `sigma ""`,
		"lognormal:3s,x":   `sigma "x"`,
		"lognormal:3s,9":   "sigma 9 is out of range",
		"lognormal:3s,NaN": "sigma NaN is out of range",
		"normal:3s":        `"normal" is not a distribution`,
	} {
		var got simulator.Durations
		err := got.UnmarshalText([]byte(text))
		if err == nil || !strings.Contains(err.Error(), complaint) || !strings.Contains(err.Error(), "accepted: ") {
			t.Errorf("%q: error %v; want %q and what is accepted", text, err, complaint)
		}
	}
}

func TestSizeText(t *testing.T) {
	for text, want := range map[string]simulator.Size{"64KiB": 64 << 10, "1.5MB": 1_500_000, "0": 0, "65536": 65536, "64MiB": 64 << 20} {
		var got simulator.Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "3XB", "65MiB", "-1", "NaN", "9999999999GB"} {
		var got simulator.Size
		if err := got.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "accepted: ") {
			t.Errorf("%q = %d, %v; want an error with what is accepted", text, got, err)
		}
	}
}

func TestDrawnTimes(t *testing.T) {
	const n = 2000
	var exponential simulator.Durations
	if err := exponential.UnmarshalText([]byte("exp:1s")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		d                simulator.Durations
		least, most      time.Duration // of each
		lowMean, topMean time.Duration
	}{
		{simulator.Fixed(time.Second), time.Second, time.Second, time.Second, time.Second},
		{simulator.Uniform(time.Second, 5*time.Second), time.Second, 5 * time.Second, 2800 * time.Millisecond, 3200 * time.Millisecond},
		{exponential, 0, time.Minute, 900 * time.Millisecond, 1100 * time.Millisecond},
		// The mean of a log-normal is exp(sigma²/2) times its median.
		{simulator.LogNormal(time.Second, 0.5), 0, time.Minute, 1050 * time.Millisecond, 1220 * time.Millisecond},
	} {
		sim := newSimulator(t, simulator.Config{SignAfter: tt.d, Seed: 1})
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
	synctest.Test(t, func(t *testing.T) { // for one clock
		cfg := simulator.Config{Seed: 7, SignAfter: simulator.LogNormal(time.Second, 1), Outcomes: simulator.Outcomes{"refused": 1, "failed": 1, "expired": 1}}
		one, two := newSimulator(t, cfg), newSimulator(t, cfg)
		for range 20 {
			a := start(t, one, simulator.StartRequest{FileSize: 1})
			b := start(t, two, simulator.StartRequest{})
			if a != b {
				t.Fatalf("same seed, but %+v and %+v", a, b)
			}
			// What is fixed is drawn all the same.
			start(t, one, simulator.StartRequest{Outcome: simulator.Waiting})
			start(t, two, simulator.StartRequest{SignAfter: time.Minute})
		}
		cfg.Seed = 0
		if a, b := newSimulator(t, cfg), newSimulator(t, cfg); a.Stats().Seed == b.Stats().Seed {
			t.Errorf("two simulators without a seed both chose %d", a.Stats().Seed)
		}
	})
}
