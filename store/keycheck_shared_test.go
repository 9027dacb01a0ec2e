package store_test

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/store"
)

// losing is a connection that is lost for the time of one read.
type losing struct {
	*elsewhere
	before atomic.Int64 // how many reads come first
}

func (l *losing) Up() context.Context {
	if l.before.Add(-1) != -1 {
		return context.Background()
	}
	lost, lose := context.WithCancel(context.Background())
	lose()
	return lost
}

// keys has those who open the store from then on use these keys.
func (o *outside) keys(all ...string) {
	o.t.Helper()
	var lines strings.Builder
	for _, key := range all {
		lines.WriteString(hex.EncodeToString([]byte(strings.Repeat(key, 32))) + "\n")
	}
	testkit.NoError(o.t, os.WriteFile(filepath.Join(o.dir, "store.key"), []byte(lines.String()), 0o600))
}

// TestIDsStayWhenAReadFails: of servers that many share any read may fail, and what ids are
// derived from is no less there.
func TestIDsStayWhenAReadFails(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	idOf := func(s *store.Store) string { return s.ID("x_", "a") }
	o.keys("1")
	id := idOf(o.store())
	o.keys("2", "1")
	both := o.store()
	if idOf(both) != id {
		t.Fatal("another key comes before, and ids are other ones")
	}
	testkit.NoError(t, both.EncryptAnew(testkit.Within(t)))
	o.keys("2")
	for reads := int64(0); ; reads++ {
		there := &losing{elsewhere: o.connect()}
		there.before.Store(reads)
		s, err := openShared(t, there, o.dir)
		if err == nil && idOf(s) != id || idOf(o.store()) != id {
			t.Fatalf("the read after %d others fails, and ids are other ones", reads)
		}
		if there.before.Load() >= 0 {
			break // none fails any more
		}
	}
}

// TestIDsOfBeforeWhenAReadFails: where an earlier version kept nothing about ids, they come from the
// key that was the store's then, or whoever opens it is told of the error.
func TestIDsOfBeforeWhenAReadFails(t *testing.T) {
	t.Parallel()
	for reads := int64(0); ; reads++ {
		o := newOutside(t)
		o.keys("1")
		s := o.store()
		id := s.ID("x_", "a")
		testkit.NoError(t, s.ForgetIDs(testkit.Within(t)))
		o.keys("2", "1")
		there := &losing{elsewhere: o.connect()}
		there.before.Store(reads)
		if again, err := openShared(t, there, o.dir); err == nil && again.ID("x_", "a") != id {
			t.Fatalf("the read after %d others fails, and ids are other ones", reads)
		}
		if there.before.Load() >= 0 {
			break // none fails any more
		}
	}
}

// TestNothingIsEncryptedAnewTooEarly: what others have written they can read until it is known that they have the first key.
func TestNothingIsEncryptedAnewTooEarly(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	o.keys("1")
	bucket := func(s *store.Store) *store.Bucket {
		return testkit.Must(s.Bucket(testkit.Within(t), store.BucketConfig{Name: "settings"}))(t)
	}
	lacking := bucket(o.store())
	testkit.Must(lacking.Put(testkit.Within(t), "a", []byte("value"), 0))(t)
	o.keys("2", "1")
	both := o.store()
	early := bucket(both)
	if _, err := lacking.Get(testkit.Within(t), "a"); err != nil {
		t.Errorf("another process cannot read it any more: %v", err)
	}
	o.keys("1")
	if _, err := openShared(t, o.connect(), o.dir); err != nil {
		t.Errorf("another process cannot begin any more: %v", err)
	}
	testkit.NoError(t, both.EncryptAnew(testkit.Within(t)))
	if _, err := lacking.Get(testkit.Within(t), "a"); err == nil {
		t.Error("it is not encrypted anew")
	}
	if got, err := early.Get(testkit.Within(t), "a"); err != nil || string(got.Value) != "value" {
		t.Errorf("it is %q, %v", got.Value, err)
	}
}
