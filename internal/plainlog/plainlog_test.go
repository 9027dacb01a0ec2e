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
func both(t testing.TB, at time.Time, level slog.Level, message string, attrs ...slog.Attr) (got, want string) {
	t.Helper()
	var ours, theirs bytes.Buffer
	for _, handler := range []slog.Handler{
		plainlog.New(&ours, slog.LevelInfo), slog.NewTextHandler(&theirs, &slog.HandlerOptions{Level: slog.LevelInfo}),
	} {
		if err := plainlog.Log(handler, at, level, message, attrs...); err != nil {
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
	f.Add(int64(1e9), int64(999999), -4, "\xff", "a=b", `C:\temp`, int64(1), int64(59e9))
	f.Fuzz(func(t *testing.T, second, nanosecond int64, level int, message, key, text string, number, duration int64) {
		for _, zone := range []*time.Location{time.UTC, time.FixedZone("", 5*3600+1800), time.FixedZone("", -3600)} {
			at := time.Unix(second%2e11, nanosecond%1e9).In(zone)
			if year := at.Year(); year < 0 || year > 9999 {
				return
			}
			got, want := both(t, at, slog.Level(level), message,
				slog.String(key, text), slog.Int64("number", number), slog.Duration("took", time.Duration(duration)))
			if got != want {
				t.Errorf("written %q; want %q", got, want)
			}
		}
	})
}

// TestNotOrdinary is for what slog's own handler has to write.
func TestNotOrdinary(t *testing.T) {
	for name, attr := range map[string]slog.Attr{
		"nothing":  {},
		"a group":  slog.Group("g", "a", 1, "b", "c"),
		"an error": slog.Any("error", errors.New("it broke")),
		"a time":   slog.Time("at", time.Unix(1, 2)),
		"a bool":   slog.Bool("ok", true),
		"a float":  slog.Float64("ratio", 0.5),
		"nil":      slog.Any("nil", nil),
	} {
		if got, want := both(t, time.Now(), slog.LevelWarn, "msg", slog.Int("before", 1), attr, slog.Int("after", 2)); got != want {
			t.Errorf("%s: written %q; want %q", name, got, want)
		}
	}
	if got, want := both(t, time.Time{}, slog.LevelInfo, "msg"); got != want {
		t.Errorf("without a time: written %q; want %q", got, want)
	}
}

// TestBothEntrances: lines by way of a slog.Logger, and of one that was derived, stand
// between the others.
func TestBothEntrances(t *testing.T) {
	var ours, theirs bytes.Buffer
	for _, h := range []slog.Handler{
		plainlog.New(&ours, slog.LevelInfo), slog.NewTextHandler(&theirs, nil),
	} {
		at := time.Unix(1e9, 0)
		_ = plainlog.Log(h, at, slog.LevelInfo, "first", slog.Int("a", 1))
		r := slog.NewRecord(at, slog.LevelInfo, "second", 0)
		_ = h.Handle(context.Background(), r)
		_ = h.WithAttrs([]slog.Attr{slog.Int("b", 2)}).WithGroup("group").Handle(context.Background(), r)
		_ = plainlog.Log(h.WithGroup("group"), at, slog.LevelInfo, "third", slog.Int("a", 1))
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
		_, _ = plainlog.Log(fast, at, slog.LevelInfo, "msg"), plainlog.Log(usual, at, slog.LevelInfo, "msg")
	}
	if ours.String() != theirs.String() {
		t.Error("other times are written than by slog")
	}
}

func TestLevel(t *testing.T) {
	h := plainlog.New(io.Discard, slog.LevelWarn)
	if h.Enabled(context.Background(), slog.LevelInfo) || !h.Enabled(context.Background(), slog.LevelWarn) {
		t.Error("the level is not that which was given")
	}
}

func BenchmarkRequest(b *testing.B) {
	for name, h := range map[string]slog.Handler{"plainlog": plainlog.New(io.Discard, slog.LevelInfo), "slog": slog.NewTextHandler(io.Discard, nil)} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_ = plainlog.Log(h, time.Now(), slog.LevelInfo, "request",
					slog.String("id", "7d2d8b1f3e6c9a500000000000001a2b"), slog.String("method", "GET"),
					slog.String("path", "/some/path"), slog.Int("status", 200), slog.Duration("took", 1234567), slog.String("client", "127.0.0.1"))
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
				_ = plainlog.Log(h, time.Unix(int64(j), 0).UTC(), slog.LevelInfo, "msg", slog.Int("writer", i), slog.Int("line", j), slog.String("text", text))
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
