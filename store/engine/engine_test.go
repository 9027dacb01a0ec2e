package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"pollbridge/internal/testkit"
	"pollbridge/store/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens an engine that is closed with the test, at the latest.
func open(t testing.TB, dir string) (e *engine.Engine, shut func()) {
	t.Helper()
	return openLogged(t, dir, &testkit.LogBuffer{})
}

func openLogged(t testing.TB, dir string, log *testkit.LogBuffer) (e *engine.Engine, shut func()) {
	t.Helper()
	e, err := engine.Open(testkit.Within(t), engine.Config{Dir: dir, Sync: engine.SyncInterval}, engine.Options{Log: log.Logger(slog.LevelInfo)})
	testkit.NoError(t, err)
	closed := false
	shut = func() {
		if !closed {
			closed = true
			testkit.NoError(t, e.Close())
		}
	}
	t.Cleanup(shut)
	return e, shut
}

// stream makes a stream, or opens the one that is there.
func stream(t testing.TB, e *engine.Engine, name string) (jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	js, err := jetstream.New(e.Conn())
	testkit.NoError(t, err)
	made, err := js.CreateOrUpdateStream(testkit.Within(t), jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}})
	testkit.NoError(t, err)
	return js, made
}

// TestIndexName: the one file of the server that is known by its name.
func TestIndexName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, shut := open(t, dir)
	stream(t, e, "THINGS")
	shut()
	streams, err := filepath.Glob(filepath.Join(dir, "engine/jetstream/*/streams/*"))
	testkit.NoError(t, err)
	indexes, err := filepath.Glob(filepath.Join(dir, "engine/jetstream/*/streams/*/msgs", engine.IndexName))
	testkit.NoError(t, err)
	if len(streams) != 2 || len(indexes) != len(streams) {
		t.Errorf("%d streams have %d indexes", len(streams), len(indexes))
	}
}

// TestPrepareComesFirst: it is told whether an engine ever ran, also one that did not get
// further than that, and what it says keeps the server from being started.
func TestPrepareComesFirst(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	refusal := errors.New("no")
	for _, test := range []struct {
		empty bool
		err   error
	}{{true, refusal}, {true, nil}, {false, nil}} {
		e, err := engine.Open(testkit.Within(t), engine.Config{Dir: dir, Sync: engine.SyncInterval}, engine.Options{
			Log: slog.New(slog.DiscardHandler),
			Prepare: func(at string, empty bool) error {
				if at != dir || empty != test.empty {
					t.Errorf("Prepare(%s, %v); want %s, %v", at, empty, dir, test.empty)
				}
				return test.err
			},
		})
		if !errors.Is(err, test.err) {
			t.Errorf("Open: %v; want %v", err, test.err)
		}
		if err == nil {
			testkit.NoError(t, e.Close())
		}
	}
}

// TestReportedFailureIsOvercome: what those who write report is believed, and the server
// is started anew under the connection.
func TestReportedFailureIsOvercome(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, shut := open(t, dir)
	js, _ := stream(t, e, "THINGS")
	_, err := js.Publish(testkit.Within(t), "THINGS.a", []byte("1"))
	testkit.NoError(t, err)
	usable, up := e.Usable(), e.Up()
	e.Report(os.ErrDeadlineExceeded)
	if cause := context.Cause(usable); !errors.Is(cause, os.ErrDeadlineExceeded) || !strings.Contains(cause.Error(), dir) || !errors.Is(e.Err(), cause) {
		t.Errorf("Usable ends with %v, Err() = %v; want what was reported, and the directory", cause, e.Err())
	}
	testkit.Eventually(t, "it can be used again", func() bool { return e.Err() == nil })
	if up.Err() == nil || e.Up().Err() != nil {
		t.Errorf("the server was up until %v, and is: %v; want it started anew", up.Err(), e.Up().Err())
	}
	_, things := stream(t, e, "THINGS")
	m, err := things.GetLastMsgForSubject(testkit.Within(t), "THINGS.a")
	testkit.NoError(t, err)
	if string(m.Data) != "1" {
		t.Errorf("the stream has %q; want 1", m.Data)
	}
	shut()
	if err := context.Cause(e.Usable()); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("Usable ends with %v; want ErrClosed", err)
	}
}

// TestLostStreamIsTold: also one of which nothing is left.
func TestLostStreamIsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, shut := open(t, dir)
	js, _ := stream(t, e, "THINGS")
	_, err := js.Publish(testkit.Within(t), "THINGS.a", []byte("1"))
	testkit.NoError(t, err)
	shut()
	lost, err := filepath.Glob(filepath.Join(dir, "engine/jetstream/*/streams/THINGS"))
	testkit.NoError(t, err)
	testkit.NoError(t, os.RemoveAll(lost[0]))
	var log testkit.LogBuffer
	openLogged(t, dir, &log)
	if text := log.String(); strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, "a stream is lost") || !strings.Contains(text, "stream=THINGS") {
		t.Errorf("the log says\n%s", text)
	}
}

// TestConnectionLost: whoever waits for the server is told when the connection to it is lost, though
// it runs on: what was on its way is lost.
func TestConnectionLost(t *testing.T) {
	t.Parallel()
	e, _ := open(t, t.TempDir())
	up := e.Up()
	testkit.NoError(t, e.Conn().ForceReconnect())
	testkit.Receive(t, "the connection is lost", up.Done())
	testkit.Eventually(t, "there is another one", func() bool { return e.Up().Err() == nil })
	if e.Err() != nil {
		t.Errorf("it cannot be used: %v", e.Err())
	}
}
