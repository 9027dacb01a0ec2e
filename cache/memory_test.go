package cache_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"pollbridge/cache"
	"pollbridge/session"
)

func TestSlotsGoOnceTheyAreNotNeeded(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer any
	}{
		{"pending", pending()}, {"final", signed()}, {"not found", notFound()}, {"failure", errDown}, {"not sent", errNotSent},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := inTurn(c.answer)
				s := newStatuses(t, config(), p)
				for i := range 1000 {
					get(t.Context(), s, question(t, fmt.Sprint(i), lt))
				}
				if n := s.Slots(); n == 0 {
					t.Error("there are no slots although questions were asked")
				}
				time.Sleep(cache.DefaultConfig().PendingTTL + 2*cache.SweepInterval)
				if n := s.Slots(); n > 0 {
					t.Errorf("%d slots are left", n)
				}
				wantPolls(t, p, 1000)
			})
		})
	}
}

// TestSlotsAreBoundedThoughRistrettoTakesNothing: they go when their answers are of
// no use, and beyond a number earlier.
func TestSlotsAreBoundedThoughRistrettoTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.MaxSize = 1
		s := newStatuses(t, cfg, always(pending))
		for i := range 1000 {
			get(t.Context(), s, question(t, fmt.Sprint(i), lt))
		}
		time.Sleep(10 * time.Second)
		if n := s.Slots(); n != 1000 {
			t.Errorf("%d slots hold an answer to fall back on; want 1000", n)
		}
		time.Sleep(cfg.StaleIfError)
		if n := s.Slots(); n > 0 {
			t.Errorf("%d slots are left after their time", n)
		}
	})
}

func TestFinalsNeedNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		cfg.MaxSize = 1
		s := newStatuses(t, cfg, always(signed))
		for i := range 1000 {
			get(t.Context(), s, question(t, fmt.Sprint(i), lt))
		}
		time.Sleep(2 * cache.SweepInterval)
		if n := s.Slots(); n > 0 {
			t.Errorf("%d slots are left", n)
		}
	})
}

func TestSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStatuses(t, config(), always(func() *session.Observation { return said(session.Succeeded, string(make([]byte, 10<<10))) }))
		if entries, bytes := s.Size(); entries != 0 || bytes != 0 {
			t.Errorf("an empty cache holds %d answers, %d bytes", entries, bytes)
		}
		for i := range 100 {
			get(t.Context(), s, question(t, fmt.Sprint(i), lt))
		}
		s.Applied()
		if entries, bytes := s.Size(); entries != 100 || bytes < 100*10<<10 || bytes > 110*10<<10 {
			t.Errorf("holds %d answers, %d bytes; want 100, a little more than 1000KiB", entries, bytes)
		}
		time.Sleep(16 * time.Minute)
		if entries, bytes := s.Size(); entries != 0 || bytes != 0 {
			t.Errorf("after their time %d answers, %d bytes are left", entries, bytes)
		}
	})
}

// TestSmallFinalAnswersCount: each is its own, unlike the many that say "waiting".
func TestSmallFinalAnswersCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		s := newStatuses(t, config(), always(func() *session.Observation {
			n++
			o := said(session.Succeeded, fmt.Sprintf("%0800d", n))
			o.Header = []session.Field{{Name: []byte("Strict-Transport-Security"), Value: []byte("max-age=31536000")}}
			return o
		}))
		for i := range 100 {
			get(t.Context(), s, question(t, fmt.Sprint(i), lt))
		}
		s.Applied()
		if _, bytes := s.Size(); bytes < 100*1100 {
			t.Errorf("counts %d bytes for an answer with a body of 800; want more than 1100", bytes/100)
		}
	})
}

func TestSizeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config()
		s := newStatuses(t, cfg, always(func() *session.Observation { return said(session.Succeeded, string(make([]byte, 100<<10))) }))
		for i := range 300 {
			get(t.Context(), s, question(t, fmt.Sprint(i), lt))
			s.Applied()
			if _, bytes := s.Size(); bytes > int64(cfg.MaxSize) {
				t.Fatalf("takes %d bytes; want at most %d", bytes, cfg.MaxSize)
			}
		}
	})
}

// A cache may be as large as its configuration allows, without taking the memory
// before there is anything to remember.
func TestLargeCacheStartsSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some memory")
	}
	cfg := config()
	cfg.MaxSize = 4 << 30
	before := heap()
	newStatuses(t, cfg, always(pending))
	if took := heap() - before; took > 256<<20 {
		t.Errorf("an empty cache of %s takes %d MiB", cfg.MaxSize, took>>20)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkFresh(b *testing.B) {
	s := newStatuses(b, config(), always(pending))
	cfg := []byte(question(b, "0b6cbb2e-5d1c-4e0a-8e3c-0f2a6f1f7d11", lt).Key())
	forever := pending()
	forever.At = time.Now().Add(time.Hour)
	s.Remember(question(b, "0b6cbb2e-5d1c-4e0a-8e3c-0f2a6f1f7d11", lt), forever)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := s.Fresh(cfg, lt); !ok {
			b.Fatal("not fresh")
		}
	}
}

// BenchmarkMemory compares what records are counted for with the memory that they
// take.
func BenchmarkMemory(b *testing.B) {
	waiting := pending().Content
	header := []string{"Server", "nginx", "Content-Type", "application/json", "Cache-Control", "no-cache, private", "Strict-Transport-Security", "max-age=31536000"}
	for _, c := range []struct {
		name   string
		answer func(i int) *session.Observation
	}{
		{"pending", func(int) *session.Observation {
			return &session.Observation{Answer: session.Answer{State: session.Pending}, Content: waiting}
		}},
		{"final with a small body of its own", func(i int) *session.Observation {
			o := said(session.Succeeded, fmt.Sprintf(`{"status":"ok","signature_value":"%0700d"}`, i))
			for i := 0; i < len(header); i += 2 {
				o.Header = append(o.Header, session.Field{Name: []byte(header[i]), Value: []byte(header[i+1])})
			}
			return o
		}},
		{"final with a document", func(i int) *session.Observation {
			return said(session.Succeeded, fmt.Sprintf(`{"status":"ok","file":"%010000d"}`, i))
		}},
	} {
		b.Run(c.name, func(b *testing.B) { memory(b, c.answer) })
	}
}

func memory(b *testing.B, answer func(int) *session.Observation) {
	const count = 50_000
	cfg := config()
	cfg.MaxSize = 1 << 30
	cfg.PendingTTL = time.Millisecond
	cfg.StaleIfError = time.Hour
	for b.Loop() {
		i := 0
		s := newStatuses(b, cfg, pollFunc(func(v *session.Variant) (*session.Observation, error) {
			o := answer(i)
			o.At = time.Now()
			return o, nil
		}), with(forgetful{}))
		before := heap()
		for ; i < count; i++ {
			if _, err := s.Get(b.Context(), question(b, fmt.Sprintf("0b6cbb2e-5d1c-4e0a-8e3c-%012d", i), lt)); err != nil {
				b.Fatal(err)
			}
		}
		held := heap() - before
		for s.Slots() > 0 {
			time.Sleep(cache.SweepInterval / 10)
		}
		entries, counted := s.Size()
		b.ReportMetric(float64(held)/count, "B/record+slot")
		b.ReportMetric(float64(heap()-before)/float64(entries), "B/record")
		b.ReportMetric(float64(counted)/float64(entries), "B/counted")
		b.ReportMetric(float64(entries), "records")
	}
}

// forgetful is a Finals that keeps nothing.
type forgetful struct{}

func (forgetful) Keep(context.Context, *session.Variant, *session.Observation) error { return nil }

func (forgetful) Load(context.Context, *session.Variant) ([]*session.Observation, error) {
	return nil, nil
}

func (forgetful) Other(context.Context, *session.Variant) (*session.Observation, error) {
	return nil, nil
}
