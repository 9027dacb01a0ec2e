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
	if idOf(o.store()) != id {
		t.Fatal("another key comes before, and ids are other ones")
	}
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
