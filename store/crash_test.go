package store_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/store"
	"pollbridge/store/engine"
)

// shared is the body that one owner has under many names.
var shared = strings.Repeat("s", 5<<20)

const childRound = "POLLBRIDGE_STORE_CHILD_ROUND"

// writeUntilKilled writes to the store in dir, and prints a line for what it is about
// to do and for what was acknowledged.
func writeUntilKilled(dir, round string) {
	ctx := context.Background()
	var printing sync.Mutex
	say := func(words ...any) {
		printing.Lock()
		defer printing.Unlock()
		fmt.Fprintln(os.Stdout, words...)
	}
	check := func(err error) {
		if err != nil {
			say("failed", strings.ReplaceAll(err.Error(), "\n", " "))
			os.Exit(1)
		}
	}
	cfg := config(dir)
	cfg.Engine.Sync = engine.SyncAlways
	s, err := teststore.Open(ctx, cfg.Engine, cfg.Config, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	check(err)
	things, err := s.Bucket(ctx, store.BucketConfig{Name: "things"})
	check(err)
	events, err := s.Journal(ctx, store.JournalConfig{Name: "events", MaxAge: time.Hour})
	check(err)
	work, err := s.Queue(ctx, store.QueueConfig{Name: "work", AckWait: time.Hour})
	check(err)
	final, err := s.Bodies(ctx)
	check(err)
	forever := func(f func(i int)) {
		go func() {
			for i := 1; ; i++ {
				f(i)
			}
		}()
	}
	forever(func(i int) {
		_, err := things.Put(ctx, "count."+round, []byte(fmt.Sprint(i)), 0)
		check(err)
		say("table", i)
	})
	var last uint64
	forever(func(i int) {
		sequence, err := events.Append(ctx, "key."+round, []byte(fmt.Sprint(i)), last)
		check(err)
		last = sequence
		say("journal", i)
	})
	forever(func(i int) {
		err := work.Add(ctx, "subject", fmt.Sprintf("%s-%d", round, i), nil)
		check(err)
		say("added", fmt.Sprintf("%s-%d", round, i))
	})
	forever(func(i int) {
		err := work.AddAt(ctx, "later", fmt.Sprintf("%s-%d", round, i), nil, time.Now().Add(time.Hour))
		check(err)
		say("scheduled", i)
	})
	forever(func(i int) {
		body := fmt.Sprint(i)
		if i%4 == 0 {
			body = strings.Repeat(body[:1], 6<<20)
		}
		check(final.Keep(ctx, bodyOf(s, fmt.Sprintf("%s-%d", round, i), "a", body)))
		say("final", i)
	})
	forever(func(i int) {
		// Three names share a body, then the next takes it over.
		shared := bodyOf(s, "shared-"+round, fmt.Sprint(i), shared)
		shared.Made = shared.Made.Add(time.Duration(i/3) * time.Minute)
		check(final.Keep(ctx, shared))
		say("shared", i)
	})
	out := make(chan *store.Item, 100)
	_, err = work.Consume("subject", 100, func(i *store.Item) { out <- i })
	check(err)
	for item := range out {
		if rand.IntN(2) == 0 {
			continue // stays out
		}
		say("doing", item.Name)
		check(item.DoubleAck(ctx))
		say("done", item.Name)
	}
}

// TestAcknowledgedWritesSurviveKill: nothing of what was acknowledged is lost when
// the process is killed, and what was out of a queue is handed out again at once.
func TestAcknowledgedWritesSurviveKill(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills processes that write")
	}
	dir := t.TempDir()
	var added, doing, finished []string
	scheduled := 0
	for round := range 4 {
		lines := killAfter(t, dir, fmt.Sprint("r", round), 50+rand.IntN(400))
		counts := map[string]int{}
		for _, line := range lines {
			word, value, _ := strings.Cut(line, " ")
			switch word {
			case "failed":
				t.Fatal(line)
			case "added":
				added = append(added, value)
			case "doing":
				doing = append(doing, value)
			case "done":
				finished = append(finished, value)
			default:
				counts[word]++
			}
		}
		scheduled += counts["scheduled"]
		t.Logf("killed after %v, %d added, %d done in all", counts, len(added), len(finished))
		s, shut := open(t, config(dir))
		survived(t, s, fmt.Sprint("r", round), counts)
		q := queue(t, s, time.Hour)
		if consumed := testkit.Must(q.Consumed(testkit.Within(t)))(t); len(consumed) != 0 {
			t.Errorf("the consumers %v are left of the process that was killed", consumed)
		}
		if _, later, err := q.Waiting(testkit.Within(t), "later"); err != nil || later < scheduled {
			t.Errorf("%d items wait for their time (%v); %d were added", later, err, scheduled)
		}
		items, consumer := take(t, q, "subject", 100_000)
		left := map[string]bool{}
		for _, name := range added {
			left[name] = !slices.Contains(doing, name)
		}
		for missing := count(left); missing > 0; {
			name := testkit.Receive(t, "an item that was added", items).Name
			if slices.Contains(finished, name) {
				t.Errorf("%s was done, and is handed out again", name)
			}
			if left[name] {
				left[name] = false
				missing--
			}
		}
		consumer.Stop()
		shut()
	}
}

// survived checks what was acknowledged of a bucket, a journal and the final answers.
func survived(t *testing.T, s *teststore.Store, round string, counts map[string]int) {
	t.Helper()
	if counts["table"] > 0 {
		record := testkit.Must(bucket(t, s, 0).Get(testkit.Within(t), "count."+round))(t)
		if got := string(record.Value); got != fmt.Sprint(counts["table"]) && got != fmt.Sprint(counts["table"]+1) {
			t.Errorf("the bucket has %s; %d was acknowledged", got, counts["table"])
		}
	}
	events, next, last := journal(t, s), 1, uint64(0)
	for newest := testkit.Must(events.Newest(testkit.Within(t)))(t); last < newest; {
		for _, e := range testkit.Must(events.After(testkit.Within(t), last, 1000))(t) {
			last = e.Sequence
			if e.Key == "key."+round {
				if string(e.Value) != fmt.Sprint(next) {
					t.Fatalf("the journal has %s; want %d", e.Value, next)
				}
				next++
			}
		}
	}
	if next <= counts["journal"] {
		t.Errorf("the journal has %d entries; %d were acknowledged", next-1, counts["journal"])
	}
	b := bodies(t, s)
	for i := 1; i <= counts["final"]+1; i++ {
		got := contents(t, b, bodyOf(s, fmt.Sprintf("%s-%d", round, i), "a", ""))
		if len(got) == 0 && i <= counts["final"] {
			t.Errorf("body %d is lost", i)
		}
		if want := 6 << 20; len(got) == 1 && i%4 == 0 && len(got[0]) != want {
			t.Errorf("body %d has %d bytes", i, len(got[0]))
		}
	}
	for i := 1; i <= counts["shared"]; i++ {
		got := contents(t, b, bodyOf(s, "shared-"+round, fmt.Sprint(i), ""))
		if len(got) == 0 || got[0] != shared {
			t.Errorf("%d are left of number %d, which shares its body", len(got), i)
		}
	}
	if chunks := testkit.Must(b.ChunksOf(testkit.Within(t), bodyOf(s, "shared-"+round, "a", "").Owner))(t); chunks > 2*2 {
		t.Errorf("there are %d chunks of a body that is shared; want those of two copies at most", chunks)
	}
}

func count(set map[string]bool) (n int) {
	for _, there := range set {
		if there {
			n++
		}
	}
	return n
}

// killAfter runs a process that writes, kills it after some lines, and returns all
// that it said.
func killAfter(t *testing.T, dir, round string, n int) (lines []string) {
	t.Helper()
	child := exec.CommandContext(testkit.Within(t), os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir, childRound+"="+round)
	child.Stderr = os.Stderr
	output := testkit.Must(child.StdoutPipe())(t)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(output)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			break // a line that is cut was not said
		}
		lines = append(lines, strings.TrimSuffix(line, "\n"))
		if len(lines) == n {
			refuses(t, config(dir), engine.ErrLocked, dir)
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if child.Wait(); len(lines) < n {
		t.Fatalf("the process ended by itself: %q", lines)
	}
	return lines
}

// TestKillWhileOpening: whatever is there of a new directory, the next one opens it.
func TestKillWhileOpening(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 12 {
		if i%3 == 0 {
			dir = t.TempDir()
		}
		child := exec.CommandContext(testkit.Within(t), os.Args[0])
		child.Env = append(os.Environ(), childDir+"="+dir, childRound+"=k")
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond) // any moment will do
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		child.Wait()
		if i%2 == 0 {
			_, shut := open(t, config(dir))
			shut()
		}
	}
}
