package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"pollbridge/internal/testkit"
	"pollbridge/store"
)

// outside is a server that several processes share.
type outside struct {
	t       testing.TB
	dir     string
	server  *server.Server
	address atomic.Pointer[string]
}

func newOutside(t testing.TB) *outside {
	t.Helper()
	o := &outside{t: t, dir: t.TempDir()}
	o.start()
	t.Cleanup(func() { o.stop() })
	return o
}

func (o *outside) start() {
	o.t.Helper()
	o.server = testkit.Must(server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: filepath.Join(o.dir, "engine"), MaxPayload: 8 << 20, NoSigs: true, NoLog: true,
	}))(o.t)
	o.server.Start()
	if !o.server.ReadyForConnections(testkit.Timeout) {
		o.t.Fatal("the server is not ready")
	}
	o.address.Store(new(o.server.Addr().String()))
}

func (o *outside) stop() {
	o.server.Shutdown()
	o.server.WaitForShutdown()
}

// Dial connects to the server of the moment.
func (o *outside) Dial(network, _ string) (net.Conn, error) {
	return net.Dial(network, *o.address.Load())
}

// process is what one process has of a queue at that server.
func (o *outside) process(renewal time.Duration) (*store.Queue, *elsewhere) {
	o.t.Helper()
	there := o.connect()
	return shares(o.t, there, o.dir, renewal), there
}

// connect connects to the server until the end of the test.
func (o *outside) connect() *elsewhere {
	o.t.Helper()
	there := &elsewhere{nc: testkit.Must(nats.Connect(o.server.ClientURL(), nats.SetCustomDialer(o), nats.ReconnectWait(10*time.Millisecond), nats.MaxReconnects(-1)))(o.t)}
	o.t.Cleanup(there.nc.Close)
	there.usable.Store(new(context.Background()))
	return there
}

// store is what one process of several has.
func (o *outside) store() *store.Store {
	o.t.Helper()
	return testkit.Must(openShared(o.t, o.connect(), o.dir))(o.t)
}

func openShared(t testing.TB, there store.Connection, dir string) (*store.Store, error) {
	t.Helper()
	cfg := store.DefaultConfig()
	key := testkit.Must(store.LoadKey(cfg, dir, true))(t)
	s, err := store.Open(testkit.Within(t), cfg, store.Options{Connection: there, Key: key, Log: slog.New(slog.DiscardHandler), Shared: true})
	if err == nil {
		t.Cleanup(s.Close)
	}
	return s, err
}

func shares(t testing.TB, there *elsewhere, dir string, renewal time.Duration) *store.Queue {
	t.Helper()
	there.usable.Store(new(context.Background()))
	s := testkit.Must(openShared(t, there, dir))(t)
	return testkit.Must(s.Queue(testkit.Within(t), store.QueueConfig{Name: "work", AckWait: renewal}))(t)
}

// receive waits for items, and returns their names in order.
func receive(t testing.TB, n int, items <-chan *store.Item) (received []*store.Item, names []string) {
	t.Helper()
	for range n {
		item := testkit.Receive(t, "an item", items)
		received, names = append(received, item), append(names, item.Name)
	}
	slices.Sort(names)
	return received, names
}

func numbers(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("%04d", i))
	}
	return names
}

func TestProcessesShareAQueue(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	first, _ := o.process(time.Hour)
	second, _ := o.process(time.Hour)
	all := numbers(20)
	add(t, first, "a", all...)
	a, _ := take(t, first, "a", 10)
	b, _ := take(t, second, "a", 5)
	c, _ := take(t, second, "a", 5)
	var out []*store.Item
	var names []string
	for n, items := range map[int]<-chan *store.Item{10: a, 4: b, 5: c} { // one is left to b
		received, some := receive(t, n, items)
		out, names = append(out, received...), append(names, some...)
	}
	last := testkit.Receive(t, "an item", b)
	names = append(names, last.Name)
	if slices.Sort(names); !slices.Equal(names, all) {
		t.Errorf("handed out %v; want each item once", names)
	}
	done(t, append(out, last)...)
	waiting(t, second, "", 0, 0)
	if n := testkit.Must(second.Consumed(testkit.Within(t)))(t); !slices.Equal(n, []string{"a"}) {
		t.Errorf("the subjects %v are consumed; want a", n)
	}
}

// TestManyComeAtOnce: each finds what another has made, also one that wants something else.
func TestManyComeAtOnce(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	const many = 8
	items := make(chan *store.Item, many)
	var consuming sync.WaitGroup
	for i := range many {
		q, _ := o.process(time.Hour + time.Duration(i%2)*time.Minute)
		consuming.Go(func() {
			consumer, err := q.Consume("a", 1, func(item *store.Item) { items <- item })
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(consumer.Stop)
		})
	}
	consuming.Wait()
	q, _ := o.process(time.Hour)
	add(t, q, "a", numbers(many)...)
	out, names := receive(t, many, items)
	if !slices.Equal(names, numbers(many)) {
		t.Errorf("handed out %v; want each item once", names)
	}
	done(t, out...)
}

// TestItemsOfWhoIsGone go to the others when they were not heard of for a while.
func TestItemsOfWhoIsGone(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	first, its := o.process(2 * time.Second)
	second, _ := o.process(2 * time.Second)
	add(t, second, "a", numbers(20)...)
	lost, _ := take(t, first, "a", 10)
	_, names := receive(t, 10, lost)
	its.nc.Close()
	kept, _ := take(t, second, "a", 30)
	mine, others := receive(t, 10, kept)
	if slices.Contains(others, names[0]) {
		t.Errorf("%v are out at two, of which one has only just gone", names)
	}
	renewing := make(chan struct{})
	var renewed sync.WaitGroup
	renewed.Go(func() {
		for {
			select {
			case <-renewing:
				return
			case <-time.After(100 * time.Millisecond):
				for _, item := range mine {
					item.InProgress()
				}
			}
		}
	})
	moved, now := receive(t, 10, kept)
	close(renewing)
	renewed.Wait()
	if !slices.Equal(now, names) {
		t.Errorf("%v came; want the items of who is gone, %v", now, names)
	}
	done(t, slices.Concat(mine, moved)...)
	waiting(t, second, "", 0, 0)
}

// TestItemsOfWhoStops go to the others at once, also those that are on their way in that
// moment.
func TestItemsOfWhoStops(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	first, _ := o.process(time.Hour)
	second, _ := o.process(time.Hour)
	const rounds, each = 30, 100
	all := numbers(rounds * each)
	stays, _ := take(t, second, "a", len(all))
	var came atomic.Int64
	for i := range rounds {
		leaves := testkit.Must(first.Consume("a", len(all), func(item *store.Item) {
			came.Add(1)
			item.Nak()
		}))(t)
		some := all[i*each : (i+1)*each]
		add(t, second, "a", some[:each/2]...)
		var adding sync.WaitGroup
		adding.Go(func() { add(t, second, "a", some[each/2:]...) })
		leaves.Stop()
		adding.Wait()
	}
	_, names := receive(t, len(all), stays)
	if !slices.Equal(names, all) {
		t.Errorf("%d items came; want each of %d once", len(slices.Compact(names)), len(all))
	}
	if came.Load() == 0 {
		t.Error("none of them came to who has stopped")
	}
}

// TestTheServerIsStartedAnew: it knows nothing of who consumed, and of what is out.
func TestTheServerIsStartedAnew(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	first, _ := o.process(time.Hour)
	second, _ := o.process(time.Hour)
	add(t, first, "a", numbers(4)...)
	a, _ := take(t, first, "a", 3)
	b, _ := take(t, second, "a", 3)
	var out []*store.Item
	for range 4 {
		select {
		case item := <-a:
			out = append(out, item)
		case item := <-b:
			out = append(out, item)
		case <-time.After(testkit.Timeout):
			t.Fatal("an item did not come")
		}
	}
	o.stop()
	o.start()
	again := map[string]*store.Item{}
	for len(again) < 2 { // there is room for two
		select {
		case item := <-a:
			again[item.Name] = item
		case item := <-b:
			again[item.Name] = item
		case <-time.After(testkit.Timeout):
			t.Fatal("what was out did not come again")
		}
	}
	done(t, out...) // also what came again, and what did not
	for _, item := range again {
		done(t, item)
	}
	waiting(t, first, "", 0, 0)
	add(t, second, "a", "new")
	for came := false; !came; {
		select {
		case item := <-a:
			came = item.Name == "new"
		case item := <-b:
			came = item.Name == "new"
		case <-time.After(testkit.Timeout):
			t.Fatal("the new item did not come")
		}
	}
}

// TestALostConsumer is made again, whoever has lost it.
func TestALostConsumer(t *testing.T) {
	t.Parallel()
	q := queue(t, fresh(t), time.Hour)
	add(t, q, "a", "1")
	items, _ := take(t, q, "a", 10)
	first := testkit.Receive(t, "1", items)
	if err := q.Lose(testkit.Within(t), "a"); err != nil {
		t.Fatal(err)
	}
	again := testkit.Receive(t, "1 again", items)
	add(t, q, "a", "2")
	second := testkit.Receive(t, "2", items)
	if again.Name != "1" || second.Name != "2" {
		t.Errorf("took %s and %s; want 1 again, and 2", again.Name, second.Name)
	}
	done(t, first, again, second) // the first one through what is not there any more
	waiting(t, q, "", 0, 0)
}

const childServer = "POLLBRIDGE_STORE_CHILD_SERVER"

// holdItems takes items in a process of its own, says which, and leaves them.
func holdItems(dir, address string) {
	t := &childTest{}
	there := &elsewhere{nc: testkit.Must(nats.Connect("nats://" + address))(t)}
	q := shares(t, there, dir, 2*time.Second)
	testkit.Must(q.Consume("a", 10, func(item *store.Item) { fmt.Println(item.Name) }))(t)
	select {}
}

// childTest is a testing.TB for a process that is none.
type childTest struct{ testing.TB }

func (*childTest) Helper()           {}
func (*childTest) Cleanup(func())    {}
func (*childTest) Fatal(args ...any) { fmt.Println(append([]any{"failed"}, args...)...); os.Exit(1) }
