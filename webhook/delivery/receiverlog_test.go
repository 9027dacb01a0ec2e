package delivery_test

import (
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/webhook/delivery"
)

// told are the messages about receivers that operators see, in their order.
func told(log *testkit.LogBuffer) (messages []string) {
	for _, found := range regexp.MustCompile(`level=(?:INFO|WARN|ERROR) msg="(webhook [^"]*)"`).FindAllStringSubmatch(log.String(), -1) {
		messages = append(messages, found[1])
	}
	return messages
}

// TestWhatWasNotToldAtOnce is told as it is when a line may be written again.
func TestWhatWasNotToldAtOnce(t *testing.T) {
	t.Parallel()
	var log testkit.LogBuffer
	now := time.Now()
	r := delivery.NewReceiver(log.Logger(slog.LevelInfo), func() time.Time { return now })
	r.Answers(204)
	for range 20 {
		r.Answers(500)
		r.Answers(204)
	}
	r.Answers(500) // told of it was that it works
	before := len(told(&log))
	if got := told(&log); before != 6 || got[5] != "webhook receiver has recovered" {
		t.Errorf("told at once: %s", strings.Join(got, "\n"))
	}
	now = now.Add(30 * time.Second)
	r.Sweep()
	if got := told(&log); len(got) != before {
		t.Errorf("too soon: %s", got[before])
	}
	now = now.Add(30 * time.Second)
	if n := r.Sweep(); n != 1 {
		t.Errorf("%d receivers are remembered; want the one that fails", n)
	}
	if got := told(&log); len(got) != before+1 || got[before] != "webhook receiver is failing" {
		t.Errorf("told later: %s", strings.Join(got[before:], "\n"))
	}
	now = now.Add(time.Minute)
	r.Answers(204)
	if n := r.Sweep(); n != 1 {
		t.Error("its lines are forgotten too soon")
	}
	now = now.Add(time.Hour)
	if n := r.Sweep(); n != 0 {
		t.Errorf("%d receivers are remembered", n)
	}
}
