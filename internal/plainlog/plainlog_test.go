package plainlog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/logtest"
	"pollbridge/internal/plainlog"
)

// both logs with this handler and with that of slog.
func both(t testing.TB, at time.Time, level slog.Level, message string, fill func(*plainlog.Record)) (got, want string) {
	t.Helper()
	var ours, theirs bytes.Buffer
	for _, handler := range []slog.Handler{
		plainlog.New(&ours, slog.LevelInfo), slog.NewTextHandler(&theirs, &slog.HandlerOptions{Level: slog.LevelInfo}),
	} {
		r := plainlog.Begin(handler, at, level, message)
		fill(r)
		if err := r.End(); err != nil {
			t.Fatal(err)
		}
	}
	return ours.String(), theirs.String()
}

func FuzzRecord(f *testing.F) {
	f.Add(int64(1e18), int64(0), 0, "request", "path", "/a/b", int64(200), int64(1234567))
	f.Add(int64(-1), int64(999999999), 3, "two words", "a key", `"`, int64(-1), int64(0))
	f.Add(int64(0), int64(7e6), 4, "", "", "…", int64(0), int64(-1))
	f.Add(int64(1e9), int64(0), 0, "cut…", "…", "/a/12345678….json", int64(0), int64(0))
	f.Add(int64(1e9), int64(0), 0, "\xe2\x80", "a\xe2", "…\xe2\x80\xa7", int64(0), int64(0))
	f.Add(int64(1e9), int64(0), 0, "\u2028", "a\u00a0b", "\U0001f600\ufffd", int64(0), int64(0))
	f.Add(int64(1e9), int64(999999), -4, "\xff", "a=b", `C:\temp`, int64(1), int64(59e9))
	f.Fuzz(func(t *testing.T, second, nanosecond int64, level int, message, key, text string, number, duration int64) {
		for _, zone := range []*time.Location{time.UTC, time.FixedZone("", 5*3600+1800), time.FixedZone("", -3600)} {
			at := time.Unix(second%2e11, nanosecond%1e9).In(zone)
			if year := at.Year(); year < 0 || year > 9999 {
				return
			}
			got, want := both(t, at, slog.Level(level), message, func(r *plainlog.Record) {
				r.String(key, text)
				r.Int("number", int(number))
				r.Bytes("bytes", []byte(text))
				r.Duration("took", time.Duration(duration))
			})
			if got != want {
				t.Errorf("written %q; want %q", got, want)
			}
		}
	})
}

func TestWithoutTime(t *testing.T) {
	if got, want := both(t, time.Time{}, slog.LevelInfo, "msg", func(*plainlog.Record) {}); got != want {
		t.Errorf("written %q; want %q", got, want)
	}
}

// record logs one with up to one number.
func record(h slog.Handler, at time.Time, message string, numbers ...int) {
	r := plainlog.Begin(h, at, slog.LevelInfo, message)
	for _, n := range numbers {
		r.Int("a", n)
	}
	_ = r.End()
}

// TestBothEntrances: lines by way of a slog.Logger, and of one that was derived, stand
// between the others, and what was logged before is in none of them.
func TestBothEntrances(t *testing.T) {
	var ours, theirs bytes.Buffer
	for _, h := range []slog.Handler{
		plainlog.New(&ours, slog.LevelInfo), slog.NewTextHandler(&theirs, nil),
	} {
		at := time.Unix(1e9, 0)
		record(h, at, "first", 1, 2, 3)
		r := slog.NewRecord(at, slog.LevelInfo, "second", 0)
		_ = h.Handle(context.Background(), r)
		_ = h.WithAttrs([]slog.Attr{slog.Int("b", 2)}).WithGroup("group").Handle(context.Background(), r)
		record(h.WithGroup("group"), at, "third", 1)
		record(h, at, "fourth")
	}
	if ours.String() != theirs.String() {
		t.Errorf("written\n%s\nwant\n%s", ours.String(), theirs.String())
	}
}

// TestTimeGoesOn: what is remembered of one line is not written into the next.
func TestTimeGoesOn(t *testing.T) {
	var ours, theirs bytes.Buffer
	fast, usual := plainlog.New(&ours, slog.LevelInfo), slog.NewTextHandler(&theirs, nil)
	for i := range 5000 {
		at := time.Unix(1e9, int64(i)*1234567).UTC()
		if i%3 == 0 {
			at = at.In(time.FixedZone("", 3600))
		}
		record(fast, at, "msg")
		record(usual, at, "msg")
	}
	if ours.String() != theirs.String() {
		t.Error("other times are written than by slog")
	}
}

// broken is a writer that fails.
type broken struct{ error }

func (b broken) Write([]byte) (int, error) { return 0, b.error }

func TestErrorsAreTold(t *testing.T) {
	want := errors.New("disk full")
	for _, h := range []slog.Handler{plainlog.New(broken{want}, slog.LevelInfo), slog.NewTextHandler(broken{want}, nil)} {
		if err := plainlog.Begin(h, time.Now(), slog.LevelInfo, "msg").End(); err != want {
			t.Errorf("%T: End = %v; want %v", h, err, want)
		}
	}
}

func TestLevel(t *testing.T) {
	h := plainlog.New(io.Discard, slog.LevelWarn)
	if h.Enabled(context.Background(), slog.LevelInfo) || !h.Enabled(context.Background(), slog.LevelWarn) {
		t.Error("the level is not that which was given")
	}
}

// request is a line as those of an access log.
func request(h slog.Handler) {
	r := plainlog.Begin(h, time.Now(), slog.LevelInfo, "request")
	r.Bytes("id", []byte("7d2d8b1f3e6c9a500000000000001a2b"))
	r.String("method", "GET")
	r.Bytes("path", []byte("/some/path/12345678….json"))
	r.Int("status", 200)
	r.Duration("took", 1234567)
	r.String("client", "127.0.0.1")
	_ = r.End()
}

func BenchmarkRequest(b *testing.B) {
	for name, h := range map[string]slog.Handler{"plainlog": plainlog.New(io.Discard, slog.LevelInfo), "slog": slog.NewTextHandler(io.Discard, nil)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				request(h)
			}
		})
	}
}

// TestManyLogAtOnce: each line is whole.
func TestManyLogAtOnce(t *testing.T) {
	var out logtest.Buffer
	h := plainlog.New(&out, slog.LevelInfo)
	const writers, each = 4, 500
	text := strings.Repeat("x", 100)
	var writing sync.WaitGroup
	for i := range writers {
		writing.Go(func() {
			for j := range each {
				r := plainlog.Begin(h, time.Unix(int64(j), 0).UTC(), slog.LevelInfo, "msg")
				r.Int("writer", i)
				r.Int("line", j)
				r.String("text", text)
				_ = r.End()
			}
		})
	}
	writing.Wait()
	lines := map[string]int{}
	for line := range strings.Lines(out.String()) {
		lines[line]++
	}
	for i := range writers {
		for j := range each {
			at := time.Unix(int64(j), 0).UTC().Format("2006-01-02T15:04:05.000Z07:00")
			want := fmt.Sprintf("time=%s level=INFO msg=msg writer=%d line=%d text=%s\n", at, i, j, text)
			if lines[want] != 1 {
				t.Fatalf("%q is there %d times; want once", want, lines[want])
			}
		}
	}
}
