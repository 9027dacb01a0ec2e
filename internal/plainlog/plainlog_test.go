package plainlog_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"pollbridge/internal/plainlog"
)

// both gives a record to this handler and to that of slog.
func both(t testing.TB, r slog.Record, derive func(slog.Handler) slog.Handler) (got, want string) {
	t.Helper()
	var ours, theirs bytes.Buffer
	for _, handler := range []slog.Handler{
		plainlog.New(&ours, slog.LevelInfo), slog.NewTextHandler(&theirs, &slog.HandlerOptions{Level: slog.LevelInfo}),
	} {
		if err := derive(handler).Handle(context.Background(), r.Clone()); err != nil {
			t.Fatal(err)
		}
	}
	return ours.String(), theirs.String()
}

func itself(h slog.Handler) slog.Handler { return h }

func FuzzRecord(f *testing.F) {
	f.Add(int64(1e18), int64(0), 0, "request", "path", "/a/b", int64(200), int64(1234567))
	f.Add(int64(-1), int64(999999999), 3, "two words", "a key", `"`, int64(-1), int64(0))
	f.Add(int64(0), int64(7e6), 4, "", "", "…", int64(0), int64(-1))
	f.Add(int64(1e9), int64(999999), -4, "\xff", "a=b", `C:\temp`, int64(1), int64(59e9))
	f.Fuzz(func(t *testing.T, second, nanosecond int64, level int, message, key, text string, number, duration int64) {
		for _, zone := range []*time.Location{time.UTC, time.FixedZone("", 5*3600+1800), time.FixedZone("", -3600)} {
			at := time.Unix(second%2e11, nanosecond%1e9).In(zone)
			if year := at.Year(); year < 0 || year > 9999 {
				return
			}
			r := slog.NewRecord(at, slog.Level(level), message, 0)
			r.AddAttrs(slog.String(key, text), slog.Int64("number", number), slog.Duration("took", time.Duration(duration)))
			if got, want := both(t, r, itself); got != want {
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
		r := slog.NewRecord(time.Now(), slog.LevelWarn, "msg", 0)
		r.AddAttrs(slog.Int("before", 1), attr, slog.Int("after", 2))
		if got, want := both(t, r, itself); got != want {
			t.Errorf("%s: written %q; want %q", name, got, want)
		}
	}
	if got, want := both(t, slog.NewRecord(time.Time{}, slog.LevelInfo, "msg", 0), itself); got != want {
		t.Errorf("without a time: written %q; want %q", got, want)
	}
	r := slog.NewRecord(time.Now(), slog.LevelInfo, "msg", 0)
	r.AddAttrs(slog.Int("a", 1))
	derived := func(h slog.Handler) slog.Handler {
		return h.WithAttrs([]slog.Attr{slog.Int("b", 2)}).WithGroup("group")
	}
	if got, want := both(t, r, derived); got != want {
		t.Errorf("derived: written %q; want %q", got, want)
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
		r := slog.NewRecord(at, slog.LevelInfo, "msg", 0)
		_, _ = fast.Handle(context.Background(), r), usual.Handle(context.Background(), r)
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
				now := time.Now()
				line := slog.NewRecord(now, slog.LevelInfo, "request", 0)
				line.AddAttrs(slog.String("id", "7d2d8b1f3e6c9a500000000000001a2b"), slog.String("method", "GET"),
					slog.String("path", "/some/path"), slog.Int("status", 200), slog.Duration("took", 1234567), slog.String("client", "127.0.0.1"))
				_ = h.Handle(context.Background(), line)
			}
		})
	}
}
