package delivery

import (
	"testing"
	"time"

	"pollbridge/store"
	"pollbridge/webhook/send"
)

// TestOutcomesOfADay: they are those of 24 hours, whoever has counted them, and older ones are
// forgotten.
func TestOutcomesOfADay(t *testing.T) {
	o := &outcomes{store: &store.Store{}, process: "here", here: map[string]counts{}, others: map[string]map[string]counts{}, news: map[string]bool{}}
	now := time.Now()
	hear := func(process string, ago int, n count, failure string) {
		at := now.Add(-time.Duration(ago) * time.Hour)
		o.heard(store.Change{Record: store.Record{Key: "sub_a." + process, Value: store.JSON(counts{map[int64]count{hourOf(at): n}, failure, at})}})
	}
	hear("old", 24, count{100, 50}, "too old")
	hear("other", 23, count{10, 7}, "the first")
	hear("here", 1, count{1000, 0}, "its own, which it knows better")
	o.add("sub_a", send.Attempt{At: now})
	if got := o.of("sub_a"); got.Attempts != 11 || got.Succeeded != 8 || got.LastError != "the first" {
		t.Errorf("of a day: %+v; want 11 attempts, 8 of them good", got)
	}
	o.add("sub_a", send.Attempt{At: now, Error: "timeout", Detail: "no answer in time"})
	if got := o.of("sub_a"); got.Attempts != 12 || got.Succeeded != 8 || got.LastError != "no answer in time" || !got.LastErrorAt.Equal(now) {
		t.Errorf("after a failure: %+v", got)
	}
	o.forget()
	if len(o.others["sub_a"]) != 1 || len(o.here) != 1 {
		t.Errorf("after a day %v and %v are remembered", o.others, o.here)
	}
	o.heard(store.Change{Record: store.Record{Key: "sub_a.other"}, Gone: true})
	o.heard(store.Change{Record: store.Record{Key: "sub_a.strange", Value: []byte("of another version")}})
	if got := o.of("sub_a"); got.Attempts != 2 || got.Succeeded != 1 {
		t.Errorf("without the others: %+v", got)
	}
}
