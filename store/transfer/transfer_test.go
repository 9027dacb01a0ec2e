package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pollbridge/finals"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/natscluster"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/store/cluster"
	"pollbridge/store/engine"
	"pollbridge/store/transfer"
)

var quiet = slog.New(slog.DiscardHandler)

// node opens a single node's store in a directory. keyFile may be empty.
func node(t testing.TB, dir, keyFile string, importing bool) *store.Store {
	t.Helper()
	cfg := store.DefaultConfig()
	cfg.EncryptionKeyFile = keyFile
	var key store.Key
	running := testkit.Must(engine.Open(testkit.Within(t), teststore.In(dir), engine.Options{Log: quiet, Prepare: func(dir string, empty bool) (err error) {
		key, err = store.LoadKey(cfg, dir, empty)
		return err
	}}))(t)
	t.Cleanup(func() { running.Close() })
	s := testkit.Must(store.Open(testkit.Within(t), cfg, store.Options{Connection: running, Key: key, Log: quiet, Import: importing}))(t)
	t.Cleanup(s.Close)
	return s
}

// shared opens a fleet's store.
func shared(t testing.TB, servers *natscluster.Cluster, prefix, keyFile string, importing bool) *store.Store {
	t.Helper()
	cfg := store.DefaultConfig()
	cfg.EncryptionKeyFile = keyFile
	at := cluster.DefaultConfig()
	at.URL, at.Prefix, at.Replicas = servers.URL(), prefix, len(servers.Servers)
	c := testkit.Must(cluster.Open(testkit.Within(t), at, quiet))(t)
	t.Cleanup(func() { c.Close() })
	key := testkit.Must(store.LoadKey(cfg, "", false))(t)
	s := testkit.Must(store.Open(testkit.Within(t), cfg, store.Options{Connection: c, Key: key, Log: quiet, Prefix: prefix, Replicas: at.Replicas, Shared: true, Import: importing}))(t)
	t.Cleanup(s.Close)
	return s
}

func export(t testing.TB, from *store.Store) []byte {
	t.Helper()
	var file bytes.Buffer
	_, err := transfer.Export(testkit.Within(t), from, &file, transfer.Header{From: "here"}, func(transfer.Progress) {})
	testkit.NoError(t, err)
	return file.Bytes()
}

func bring(t testing.TB, file []byte, to *store.Store) error {
	t.Helper()
	f, err := transfer.Open(bytes.NewReader(file))
	testkit.NoError(t, err)
	_, _, err = f.Import(testkit.Within(t), to, transfer.Options{
		Rename: func(_, key string) string { return key },
		Unused: func(context.Context) error { return nil },
		Tell:   func(transfer.Progress) {},
	})
	return err
}

func journal(t testing.TB, s *store.Store) *store.Journal {
	t.Helper()
	return testkit.Must(s.Journal(testkit.Within(t), store.JournalConfig{Name: "events", MaxAge: time.Hour}))(t)
}

// TestSequencesTimesAndEnds: what others refer to stays: the sequences of a journal, also where some
// are gone, when something was written, and when it is forgotten; at a cluster and back, too.
func TestSequencesTimesAndEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := filepath.Join(dir, "store.key")
	from := node(t, dir, "", false)
	events := journal(t, from)
	for i := range 1200 { // the first 300 go, others here and there, and the last ones
		subject := fmt.Sprintf("s%d", i)
		testkit.Must(events.Append(testkit.Within(t), subject, []byte(subject), 0))(t)
	}
	for i := range 1200 {
		if i < 300 || i >= 1150 || i%7 == 0 || i > 400 && i < 720 {
			testkit.NoError(t, events.Erase(testkit.Within(t), fmt.Sprintf("s%d", i)))
		}
	}
	following, stop := context.WithCancel(testkit.Within(t))
	testkit.NoError(t, events.Follow(following, "fanout", func(_ context.Context, e store.Entry, done func()) error {
		done()
		if e.Sequence >= 800 {
			stop()
		}
		return nil
	}, nil))
	sessions := testkit.Must(from.Bucket(testkit.Within(t), store.BucketConfig{Name: "sessions"}))(t)
	for i := range 5 {
		testkit.Must(sessions.Put(testkit.Within(t), fmt.Sprintf("s%d", i), []byte("old"), 0))(t)
	}
	testkit.Must(sessions.Put(testkit.Within(t), "s1", []byte("new"), time.Hour))(t)
	testkit.Must(sessions.Put(testkit.Within(t), "soon", nil, time.Second))(t)
	testkit.NoError(t, sessions.Delete(testkit.Within(t), "s3"))
	deliveries := testkit.Must(from.Queue(testkit.Within(t), store.QueueConfig{Name: "deliveries", AckWait: time.Minute}))(t)
	testkit.NoError(t, deliveries.Add(testkit.Within(t), "sub", "now", []byte("1")))
	due := time.Now().Add(5 * time.Second)
	testkit.NoError(t, deliveries.AddAt(testkit.Within(t), "sub", "later", []byte("2"), due))
	newest, oldest, err := events.Bounds(testkit.Within(t))
	testkit.NoError(t, err)
	wanted := everything(t, events, sessions)
	followed := testkit.Must(events.Followed(testkit.Within(t), "fanout"))(t)
	written := export(t, from)
	testkit.Eventually(t, "what ends soon has ended", func() bool {
		_, err := sessions.Get(testkit.Within(t), "soon")
		return errors.Is(err, store.ErrNotFound)
	})

	servers := natscluster.Start(t, 3, natscluster.Settings{})
	first := shared(t, servers, "first", key, true)
	testkit.NoError(t, bring(t, written, first))
	second := shared(t, servers, "second", key, true)
	testkit.NoError(t, bring(t, export(t, first), second))
	third := node(t, t.TempDir(), key, true)
	testkit.NoError(t, bring(t, export(t, second), third))
	for i, s := range []*store.Store{first, second, third} {
		events, sessions := journal(t, s), testkit.Must(s.Bucket(testkit.Within(t), store.BucketConfig{Name: "sessions"}))(t)
		if got := everything(t, events, sessions); got != wanted {
			t.Errorf("store %d has\n%s\nwant\n%s", i, got, wanted)
		}
		if n, _, err := events.Bounds(testkit.Within(t)); err != nil || n != newest {
			t.Errorf("the newest sequence of store %d is %d, %v; want %d", i, n, err, newest)
		}
		if _, o, err := events.Bounds(testkit.Within(t)); err != nil || o != oldest {
			t.Errorf("the oldest sequence of store %d is %d, %v; want %d", i, o, err, oldest)
		}
		if got, err := events.Followed(testkit.Within(t), "fanout"); err != nil || got != followed {
			t.Errorf("store %d was followed up to %d, %v; want %d", i, got, err, followed)
		}
		if next, err := events.Append(testkit.Within(t), "next", nil, 0); err != nil || next != newest+1 {
			t.Errorf("the next entry of store %d is %d, %v; want %d", i, next, err, newest+1)
		}
		queue := testkit.Must(s.Queue(testkit.Within(t), store.QueueConfig{Name: "deliveries", AckWait: time.Minute}))(t)
		items := make(chan string, 4)
		consumer := testkit.Must(queue.Consume("sub", 4, func(i *store.Item) {
			if i.Name == "later" && s.Now().Before(due.Add(-time.Second)) {
				t.Errorf("an item comes %v too early", time.Until(due))
			}
			items <- i.Name + string(i.Value)
			i.Ack()
		}))(t)
		for _, want := range []string{"now1", "later2"} {
			if got := testkit.Receive(t, "an item", items); got != want {
				t.Errorf("store %d hands out %s; want %s", i, got, want)
			}
		}
		consumer.Stop()
	}
}

// everything is what a journal and a bucket hold.
func everything(t testing.TB, j *store.Journal, b *store.Bucket) string {
	t.Helper()
	var all strings.Builder
	for after := uint64(0); testkit.Must(j.Count(testkit.Within(t), after))(t) > 0; {
		for _, e := range testkit.Must(j.After(testkit.Within(t), after, 1000))(t) {
			fmt.Fprintf(&all, "%d %s %s %s\n", e.Sequence, e.Key, e.Value, e.At.UTC().Format(time.RFC3339Nano))
			after = e.Sequence
		}
	}
	for _, r := range testkit.Must(b.List(testkit.Within(t), "*", 0, 100))(t) {
		if r.Key != "soon" {
			fmt.Fprintf(&all, "%s %s %s %s\n", r.Key, r.Value, r.At.UTC().Format(time.RFC3339Nano), r.Expires.UTC().Format(time.RFC3339Nano))
		}
	}
	return all.String()
}

// TestLargeAnswers: answers of which servers take less at a time than they come in are whole there,
// also after an import that was broken off, and when they come back.
func TestLargeAnswers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := filepath.Join(dir, "store.key")
	from := node(t, dir, "", false)
	endpoints, _ := session.Dialect("marksign")
	table := testkit.Must(session.NewTable(endpoints))(t)
	bodies := map[*session.Variant][]byte{}
	answers := testkit.Must(finals.Open(testkit.Within(t), from))(t)
	for i, size := range []int{100, 900 << 10, 3 << 20, 4<<20 - 1000, 9<<20 + 1} {
		v := testkit.Must(table.Variant(endpoints[0].Name, fmt.Sprint("t", i), "sesame", ""))(t)
		bodies[v] = bytes.Repeat([]byte{byte('a' + i), 'x', byte(i)}, size/3+1)[:size]
		testkit.NoError(t, answers.Keep(testkit.Within(t), v, &session.Observation{
			At: time.Now(), Answer: session.Answer{State: session.Succeeded}, Content: &session.Content{Status: 200, Body: bodies[v]},
		}))
	}
	file := export(t, from)
	servers := natscluster.Start(t, 1, natscluster.Settings{})
	to := shared(t, servers, "to", key, true)
	for tenths := range 10 {
		if err := bring(t, file[:max(1000, len(file)*tenths/10)], to); !errors.Is(err, transfer.ErrCut) {
			t.Errorf("the import of a part = %v", err)
		}
	}
	testkit.NoError(t, bring(t, file, to))
	back := node(t, t.TempDir(), key, true)
	testkit.NoError(t, bring(t, export(t, to), back))
	for _, s := range []*store.Store{to, back} {
		answers := testkit.Must(finals.Open(testkit.Within(t), s))(t)
		for v, body := range bodies {
			found := testkit.Must(answers.Load(testkit.Within(t), v))(t)
			if len(found) != 1 || !bytes.Equal(found[0].Body, body) {
				t.Errorf("%s has %d answers; want one of %d bytes", v.Token, len(found), len(body))
			}
		}
	}
}

// TestFollowedBefore: who was at a fleet when there was nothing is not where everybody goes on.
func TestFollowedBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := filepath.Join(dir, "store.key")
	from := node(t, dir, "", false)
	events := journal(t, from)
	follow := func(j *store.Journal, upTo uint64) (seen []uint64) {
		ctx, stop := context.WithCancel(testkit.Within(t))
		testkit.NoError(t, j.Follow(ctx, "fanout", func(_ context.Context, e store.Entry, done func()) error {
			done()
			if seen = append(seen, e.Sequence); e.Sequence >= upTo {
				stop()
			}
			return nil
		}, nil))
		return seen
	}
	for i := range 10 {
		testkit.Must(events.Append(testkit.Within(t), fmt.Sprint("s", i), nil, 0))(t)
	}
	follow(events, 7)
	servers := natscluster.Start(t, 1, natscluster.Settings{})
	early := shared(t, servers, "to", key, false)
	ctx, stop := context.WithCancel(testkit.Within(t))
	following := make(chan error)
	go func() {
		following <- journal(t, early).Follow(ctx, "fanout", func(context.Context, store.Entry, func()) error { return nil }, nil)
	}()
	nc := servers.Connect(t, 0)
	testkit.Eventually(t, "somebody follows", func() bool {
		answer, err := nc.Request("$JS.API.CONSUMER.NAMES.to_JOURNAL_events", nil, time.Second)
		return err == nil && bytes.Contains(answer.Data, []byte("fanout"))
	})
	stop()
	testkit.NoError(t, <-following)
	testkit.NoError(t, bring(t, export(t, from), shared(t, servers, "to", key, true)))
	if seen := follow(journal(t, shared(t, servers, "to", key, false)), 10); !slices.Equal(seen, []uint64{8, 9, 10}) {
		t.Errorf("%v are followed; want what was not before", seen)
	}
}

// leastPrivileged lets anybody do with the prefix "to" what deploy/nats/permissions.conf allows, and no more.
func leastPrivileged(t testing.TB) string {
	t.Helper()
	permissions := testkit.Must(os.ReadFile("../../deploy/nats/permissions.conf"))(t)
	return "authorization {users: [{user: a, password: b, permissions: {\n" + strings.ReplaceAll(string(permissions), "\"pollbridge.", "\"to.") + "}}]}\nno_auth_user: a"
}

// TestHalf: nobody opens what is half imported, nor imports something else there.
func TestHalf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from := node(t, dir, "", false)
	testkit.Must(journal(t, from).Append(testkit.Within(t), "s", nil, 0))(t)
	file, later := export(t, from), export(t, from)
	servers := natscluster.Start(t, 1, natscluster.Settings{Extra: leastPrivileged(t)})
	to := shared(t, servers, "to", filepath.Join(dir, "store.key"), true)
	if err := bring(t, file[:len(file)-1], to); !errors.Is(err, transfer.ErrCut) {
		t.Errorf("an import of a part = %v", err)
	}
	if err := bring(t, later, to); !errors.Is(err, store.ErrHalf) {
		t.Errorf("an import of another file = %v", err)
	}
	testkit.NoError(t, bring(t, file, to))
	if err := bring(t, file, to); !errors.Is(err, store.ErrImported) {
		t.Errorf("the same import again = %v", err)
	}
	if err := bring(t, later, to); !errors.Is(err, store.ErrNotEmpty) {
		t.Errorf("an import of another file = %v", err)
	}
	export(t, to)
}

// TestKeyThatWasChanged: ids stay where the key was changed before, and what an earlier key has
// encrypted needs it.
func TestKeyThatWasChanged(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	old, latest := strings.Repeat("0a", 32), strings.Repeat("0b", 32)
	file := func(name string, keys ...string) string {
		path := filepath.Join(folder, name)
		testkit.NoError(t, os.WriteFile(path, []byte(strings.Join(keys, "\n")), 0o600))
		return path
	}
	dir := filepath.Join(folder, "from")
	var id string
	t.Run("before", func(t *testing.T) {
		from := node(t, dir, file("old", old), false)
		testkit.Must(journal(t, from).Append(testkit.Within(t), "s", []byte("x"), 0))(t)
		id = from.ID("x", "y")
	})
	written := export(t, node(t, dir, file("both", latest, old), false))
	open := func() *transfer.File { return testkit.Must(transfer.Open(bytes.NewReader(written)))(t) }
	cfg := store.DefaultConfig()
	cfg.EncryptionKeyFile = file("latest", latest)
	if err := open().Check(testkit.Must(store.FindKey(cfg, ""))(t)); !errors.Is(err, store.ErrOtherKey) {
		t.Errorf("a check with the latest key only = %v", err)
	}
	cfg.EncryptionKeyFile = file("both", latest, old)
	testkit.NoError(t, open().Check(testkit.Must(store.FindKey(cfg, ""))(t)))
	to := filepath.Join(folder, "to")
	t.Run("import", func(t *testing.T) {
		testkit.NoError(t, bring(t, written, node(t, to, file("both", latest, old), true)))
	})
	moved := node(t, to, file("both", latest, old), false)
	if entry, err := journal(t, moved).Get(testkit.Within(t), 1); err != nil || string(entry.Value) != "x" {
		t.Errorf("the entry is %q, %v", entry.Value, err)
	}
	if got := moved.ID("x", "y"); got != id {
		t.Errorf("an id is %s; want %s", got, id)
	}
}

// TestTwice: what an import that was killed has put there, and comes again, is there once.
func TestTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from := node(t, dir, "", false)
	for i := range 3 {
		testkit.Must(journal(t, from).Append(testkit.Within(t), fmt.Sprint("s", i), nil, 0))(t)
	}
	testkit.NoError(t, journal(t, from).Erase(testkit.Within(t), "s1"))
	items := testkit.Must(from.Queue(testkit.Within(t), store.QueueConfig{Name: "deliveries", AckWait: time.Minute}))(t)
	for i := range 3 {
		testkit.NoError(t, items.Add(testkit.Within(t), "sub", fmt.Sprint("now", i), nil))
		testkit.NoError(t, items.AddAt(testkit.Within(t), "sub", fmt.Sprint("later", i), nil, time.Now().Add(time.Hour)))
	}
	to := node(t, t.TempDir(), filepath.Join(dir, "store.key"), true)
	keys := testkit.Must(from.OwnKeys(testkit.Within(t)))(t)
	for range 2 {
		into := testkit.Must(to.BeginImport(testkit.Within(t), "id", "here", keys, nil))(t)
		for _, name := range []string{"QUEUE_deliveries", "JOURNAL_events"} {
			out := testkit.Must(from.Outgoing(testkit.Within(t), name))(t)
			in := testkit.Must(into.Stream(testkit.Within(t), out.MovedStream, func(key string) string { return key }))(t)
			last := testkit.Must(out.Each(testkit.Within(t), func(some []store.Moved) error { return in.Put(testkit.Within(t), some) }))(t)
			testkit.NoError(t, in.End(testkit.Within(t), last))
		}
	}
	queue := testkit.Must(to.Queue(testkit.Within(t), store.QueueConfig{Name: "deliveries", AckWait: time.Minute}))(t)
	if now, later, err := queue.Waiting(testkit.Within(t), ""); err != nil || now != 3 || later != 3 {
		t.Errorf("%d items wait, and %d for their time, %v; want three each", now, later, err)
	}
	if n, err := journal(t, to).Count(testkit.Within(t), 0); err != nil || n != 2 {
		t.Errorf("there are %d entries, %v; want two", n, err)
	}
}

// TestUnknownStream: what this version does not know is not left out silently.
func TestUnknownStream(t *testing.T) {
	t.Parallel()
	from := node(t, t.TempDir(), "", false)
	testkit.Must(from.Bucket(testkit.Within(t), store.BucketConfig{Name: "something"}))(t)
	if _, err := transfer.Export(testkit.Within(t), from, &bytes.Buffer{}, transfer.Header{}, func(transfer.Progress) {}); err == nil || !strings.Contains(err.Error(), "TABLE_something") {
		t.Errorf("Export = %v; want that it says what it does not know", err)
	}
}

// FuzzOpen: whatever a file holds, reading it ends, and says what is wrong.
func FuzzOpen(f *testing.F) {
	from := node(f, f.TempDir(), "", false)
	testkit.Must(journal(f, from).Append(testkit.Within(f), "s", []byte("x"), 0))(f)
	f.Add(export(f, from))
	f.Add([]byte("pollbridge export 1\nh"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if file, err := transfer.Open(bytes.NewReader(content)); err == nil {
			file.Check(store.Key{})
		}
	})
}
