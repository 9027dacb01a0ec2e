package fleet

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"pollbridge/store"
)

// Announcement is what a replica has all others know for a while.
type Announcement struct {
	Key     string
	Message []byte
	At      time.Time     // when it was announced, by this replica's clock
	Left    time.Duration // for how long it still holds; 0: it was withdrawn, or is over, and only Key says something
}

// Announced has h told of what is announced, here too, of a kind, which is a single token. A
// replica that begins is told of all that holds, and one that was cut off of what it has missed,
// before it is [Fleet.Current] again. It is called before Start. h must not block.
func (f *Fleet) Announced(kind string, h func(Announcement)) { f.listeners[kind] = h }

// announcement is one as it is stored.
type announcement struct {
	Version int           `json:"v"`
	Lasts   time.Duration `json:"lasts"`
	Message []byte        `json:"message,omitempty"`
}

const announcementKey = "said."

// Announce has all replicas know something for a while: those that are there soon, others when they
// come. Of a key the last announcement counts. When it returns nil, it is stored.
func (f *Fleet) Announce(ctx context.Context, kind, key string, message []byte, lasts time.Duration) error {
	ttl := lasts + time.Second - 1 // the store counts no smaller ones
	_, err := f.bucket.Put(ctx, announcementKey+kind+"."+key, store.JSON(announcement{recordVersion, lasts, message}), ttl)
	return err
}

// Withdraw takes an announcement back, if there is one.
func (f *Fleet) Withdraw(ctx context.Context, kind, key string) error {
	return f.bucket.Delete(ctx, announcementKey+kind+"."+key)
}

// tellAnnounced tells of what is announced, once the store's clock is known.
func (f *Fleet) tellAnnounced() {
	f.mu.Lock()
	var some []store.Change
	if !f.ownHeard.IsZero() {
		some, f.announced = f.announced, nil
	}
	f.mu.Unlock()
	for _, c := range some {
		kind, key, _ := strings.Cut(strings.TrimPrefix(c.Key, announcementKey), ".")
		h := f.listeners[kind]
		if h == nil {
			continue // of a later version
		}
		told := Announcement{Key: key}
		if !c.Gone {
			var a announcement
			if err := json.Unmarshal(c.Value, &a); err != nil {
				f.log.Warn("what another replica announces cannot be read", "kind", kind, "error", err)
				continue
			}
			age := f.store.Now().Sub(c.At)
			told.Message, told.At, told.Left = a.Message, time.Now().Add(-age), max(0, a.Lasts-age)
		}
		h(told)
	}
}
