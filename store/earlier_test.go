package store_test

import (
	"archive/zip"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/store"
)

// TestDirectoryOfAnEarlierVersion: one that was written before the engine and the data
// were told apart opens and goes on, closed as well as killed.
func TestDirectoryOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	for _, lock := range []string{"", "open\n"} {
		dir := filepath.Join(t.TempDir(), "data")
		earlier := testkit.Must(zip.OpenReader("testdata/earlier.zip"))(t)
		defer earlier.Close()
		testkit.NoError(t, os.CopyFS(dir, earlier))
		write(t, filepath.Join(dir, "lock"), []byte(lock))
		cfg := config(dir)
		cfg.Retain = 80 * 365 * 24 * time.Hour
		for round := range 2 {
			s, shut := open(t, cfg)
			things := bucket(t, s, 0)
			events := testkit.Must(s.Journal(testkit.Within(t), store.JournalConfig{Name: "events", MaxAge: cfg.Retain}))(t)
			for i := range 3 {
				key := fmt.Sprint("k", i)
				if got := string(testkit.Must(things.Get(testkit.Within(t), key))(t).Value); got != key {
					t.Errorf("the bucket has %q for %s", got, key)
				}
				if got := string(testkit.Must(events.Last(testkit.Within(t), key))(t).Value); got != key {
					t.Errorf("the journal has %q for %s", got, key)
				}
			}
			q := queue(t, s, time.Minute)
			waiting(t, q, "later", 0, 3)
			if items, _ := take(t, q, "now", 10); round == 0 {
				for range 3 {
					done(t, testkit.Receive(t, "an item", items))
				}
			}
			waiting(t, q, "now", 0, 0)
			testkit.Must(events.Append(testkit.Within(t), fmt.Sprint("new", round), nil, 0))(t)
			shut()
		}
	}
}
