package fleet

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"pollbridge/store"
)

// Replica is one of the processes that share a store, as it tells the others of itself.
type Replica struct {
	ID       string    `json:"id"` // another one after each start
	Name     string    `json:"name"`
	Version  string    `json:"version"`
	Format   int       `json:"format"`  // that it knows of what is stored
	Started  time.Time `json:"started"` // by its own clock
	Draining bool      `json:"draining,omitempty"`
	// Unwell says that it cannot reach the upstream: others do better.
	Unwell  bool `json:"unwell,omitempty"`
	Watches int  `json:"watches,omitempty"` // how many sessions it watches
	Beat    int  `json:"beat,omitempty"`    // counts what it says of itself
	// Keys tells the keys of its management API from others.
	Keys string `json:"keys,omitempty"`
	// StoreKeys tells those that it decrypts with from others, see [store.Store.KeyNames]. An earlier version
	// does not say.
	StoreKeys []string `json:"store_keys,omitempty"`
	Slots     int      `json:"-"` // that it holds
}

// recordVersion is that of what replicas write about themselves and about slots. What a later
// one adds, an earlier one leaves out.
const recordVersion = 1

type replicaRecord struct {
	Version int `json:"v"`
	Replica
}

type slotRecord struct {
	Version int    `json:"v"`
	Owner   string `json:"owner"`  // the id of its holder; empty: it was handed back
	Keeper  string `json:"keeper"` // of that, or of the one that has handed it back
	// Earlier is who held it before the keeper, the last one first: those from whom it went so shortly
	// before that something of theirs may have been under way.
	Earlier []string `json:"earlier,omitempty"`
}

const bucketName = "fleet"

const (
	replicaKey = "replica."
	slotKey    = "slot."
)

// Replicas returns those that are there, the eldest first.
func (f *Fleet) Replicas() []Replica {
	f.mu.Lock()
	defer f.mu.Unlock()
	held := f.heldLocked()
	var replicas []Replica
	for id, p := range f.peers {
		if f.aliveLocked(p) {
			r := p.Replica
			r.Slots = held[id]
			replicas = append(replicas, r)
		}
	}
	slices.SortFunc(replicas, func(a, b Replica) int {
		if c := a.Started.Compare(b.Started); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return replicas
}

// OtherKeys is how many replicas have other keys of the management API than this one.
func (f *Fleet) OtherKeys() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.peers {
		if f.aliveLocked(p) && p.Keys != f.own.Keys {
			n++
		}
	}
	return n
}

// KeyError means that other replicas cannot decrypt what this one would write.
type KeyError struct {
	Replicas []string // their names
}

func (e *KeyError) Error() string {
	return "fleet: other replicas lack the key that this one encrypts with: " + strings.Join(e.Replicas, ", ")
}

// keyLocked returns a *KeyError where there are such. One that was killed counts until its record is over.
func (f *Fleet) keyLocked() error {
	var lacking []string
	for _, p := range f.peers {
		if f.lacksKey(p.Replica) {
			lacking = append(lacking, p.Name)
		}
	}
	if lacking == nil {
		return nil
	}
	slices.Sort(lacking)
	return &KeyError{lacking}
}

// lacksKey reports whether another replica cannot decrypt what this one writes.
func (f *Fleet) lacksKey(r Replica) bool {
	return len(f.own.StoreKeys) > 0 && len(r.StoreKeys) > 0 && !slices.Contains(r.StoreKeys, f.own.StoreKeys[0])
}

// heldLocked is how many slots each holder has.
func (f *Fleet) heldLocked() map[string]int {
	held := map[string]int{}
	for _, s := range f.slots {
		held[s.owner]++
	}
	return held
}

// ownBeatLocked is told that what this replica said of itself has come back. So it knows of all
// that was written before: who has taken what from it, too.
func (f *Fleet) ownBeatLocked(beat int, at time.Time) {
	now := time.Now()
	if now.Sub(f.ownHeard) > f.timing.gap() {
		f.currentSince = now
	}
	f.ownHeard = now
	if began, known := f.beats[beat]; known {
		f.renewed = began
		f.store.SetClock(at.Sub(began)) // and what it took to get there
	}
	for earlier := range f.beats {
		if earlier <= beat {
			delete(f.beats, earlier)
		}
	}
}

// changed is told of a change in the bucket of the fleet.
func (f *Fleet) changed(c store.Change) {
	if id, ok := strings.CutPrefix(c.Key, replicaKey); ok {
		f.replicaChanged(id, c)
	} else if name, ok := strings.CutPrefix(c.Key, slotKey); ok {
		f.slotChanged(name, c)
	} else if strings.HasPrefix(c.Key, announcementKey) {
		f.mu.Lock()
		f.announced = append(f.announced, c)
		f.mu.Unlock()
	}
	f.tellAnnounced()
}

func (f *Fleet) replicaChanged(id string, c store.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replicaChangedLocked(id, c)
}

// replicaMet is told of a replica that was looked up.
func (f *Fleet) replicaMet(id string, r store.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.peers[id] == nil { // else it is known, and maybe better
		f.replicaChangedLocked(id, store.Change{Record: r})
	}
}

func (f *Fleet) replicaChangedLocked(id string, c store.Change) {
	if c.Gone {
		delete(f.peers, id)
		f.wakeUp()
		return
	}
	var r replicaRecord
	if err := json.Unmarshal(c.Value, &r); err != nil {
		f.log.Warn("what a replica says of itself cannot be read", "replica", id, "error", err)
		return
	}
	known := f.peers[id]
	if known == nil && !f.begun.IsZero() && f.lacksKey(r.Replica) { // both have begun at the same time
		f.log.Error("another replica lacks the key that this one encrypts with (store.encryption_key_file): it cannot read what this one writes", "replica", r.Name)
	}
	if known == nil && r.Keys != f.own.Keys {
		f.log.Warn("another replica has other keys of the management API (admin.keys): callers are refused by the one or the other", "replica", r.Name)
	}
	if known == nil || known.Draining != r.Draining || known.Unwell != r.Unwell {
		f.wakeUp()
	}
	p := &peer{Replica: r.Replica, at: c.At}
	if !f.begun.IsZero() {
		p.heard = time.Now()
	}
	if p.Unwell {
		p.unwell = time.Now()
		if known != nil && known.Unwell {
			p.unwell = known.unwell
		}
	}
	f.peers[id] = p
	if c.At.After(f.newest) {
		f.newest = c.At
	}
	if id == f.id {
		f.ownBeatLocked(r.Beat, c.At)
	}
}
