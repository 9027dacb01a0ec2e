package store_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"pollbridge/internal/testkit"
	"pollbridge/store"
)

// elsewhere is a connection to a server that is no part of the program.
type elsewhere struct {
	nc       *nats.Conn
	usable   atomic.Pointer[context.Context]
	reported atomic.Pointer[error]
}

func (e *elsewhere) Conn() *nats.Conn        { return e.nc }
func (e *elsewhere) Usable() context.Context { return *e.usable.Load() }
func (e *elsewhere) Up() context.Context     { return context.Background() }
func (e *elsewhere) SyncsEach() bool         { return false }
func (e *elsewhere) Report(err error)        { e.reported.Store(&err) }

// TestStoreOverAnyConnection: what is stored is behind a connection, whose word counts on
// whether that can be used.
func TestStoreOverAnyConnection(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	running := testkit.Must(server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: filepath.Join(dir, "elsewhere"), MaxPayload: 8 << 20, NoSigs: true, NoLog: true,
	}))(t)
	running.Start()
	defer running.WaitForShutdown()
	defer running.Shutdown()
	if !running.ReadyForConnections(testkit.Timeout) {
		t.Fatal("the server is not ready")
	}
	there := &elsewhere{nc: testkit.Must(nats.Connect(running.ClientURL()))(t)}
	defer there.nc.Close()
	there.usable.Store(new(context.Background()))

	cfg := store.DefaultConfig()
	key := testkit.Must(store.LoadKey(cfg, dir, true))(t)
	s := testkit.Must(store.Open(testkit.Within(t), cfg, store.Options{Connection: there, Key: key, Log: slog.New(slog.DiscardHandler)}))(t)
	defer s.Close()
	things := testkit.Must(s.Bucket(testkit.Within(t), store.BucketConfig{Name: "things"}))(t)
	testkit.Must(things.Put(testkit.Within(t), "a", []byte("1"), 0))(t)
	events := testkit.Must(s.Journal(testkit.Within(t), store.JournalConfig{Name: "events", MaxAge: time.Hour}))(t)
	testkit.Must(events.Append(testkit.Within(t), "a", nil, 0))(t)
	kept := testkit.Must(s.Bodies(testkit.Within(t)))(t)
	body := store.Body{Owner: s.ID("own_", "o"), Name: s.Hash("a"), Made: time.Now(), Body: []byte("signed")}
	keep(t, kept, body)
	has(t, kept, body, body)
	q := testkit.Must(s.Queue(testkit.Within(t), store.QueueConfig{Name: "work", AckWait: time.Minute}))(t)
	add(t, q, "a", "1")
	items, consumer := take(t, q, "a", 1)
	done(t, testkit.Receive(t, "an item", items))
	consumer.Stop()
	if there.reported.Load() != nil {
		t.Errorf("reported %v; want nothing", *there.reported.Load())
	}

	cut, end := context.WithCancelCause(context.Background())
	there.usable.Store(&cut)
	lost := errors.New("the cluster is not reached")
	end(lost)
	if _, err := things.Put(testkit.Within(t), "a", nil, 0); !errors.Is(err, store.ErrUnusable) || !errors.Is(err, lost) || s.Err() == nil {
		t.Errorf("Put: %v, Err() = %v; want ErrUnusable, and why", err, s.Err())
	}
	if record := testkit.Must(things.Get(testkit.Within(t), "a"))(t); string(record.Value) != "1" {
		t.Errorf("the bucket has %q; want 1, which can still be read", record.Value)
	}
	there.usable.Store(new(context.Background()))
	testkit.Must(things.Put(testkit.Within(t), "a", []byte("2"), 0))(t)
}
