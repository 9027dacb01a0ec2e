package store

import "testing"

// TestSpan: entries that were lost are over as little as those before them that are not.
func TestSpan(t *testing.T) {
	var s span
	s.begin(10)
	var done []func()
	for sequence := uint64(11); sequence <= 15; sequence++ {
		done = append(done, s.add(sequence))
	}
	want := func(when string, sequence uint64) {
		t.Helper()
		if got := s.over(); got != sequence {
			t.Errorf("%s: all up to %d are over, want %d", when, got, sequence)
		}
	}
	done[1]()
	want("the second of five", 10)
	s.cut(14)
	want("the last one was lost", 10)
	done[0]()
	want("the first two", 12)
	done[4]() // it is none any more
	again := s.add(15)
	done[2]()
	done[3]()
	want("all but the new last one", 14)
	again()
	want("all", 15)
	s.cut(7)
	want("some that were over were lost", 7)
}
