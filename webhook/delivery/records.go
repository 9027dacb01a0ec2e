package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"pollbridge/event"
	"pollbridge/store"
)

// records keeps what became of deliveries. It is safe for concurrent use.
type records struct {
	store *store.Store
	table *store.Table
	dead  *store.Table // the keys of dead deliveries, so that they are found and counted

	writes sessionLocks // held for reading by who writes of a delivery, for writing by who erases
	erased erased

	mu       sync.Mutex
	deadKeys map[string]struct{} // guarded by mu
}

// openRecords opens the tables. watching is for how long what is dead is counted.
func openRecords(ctx, watching context.Context, s *store.Store, history time.Duration) (*records, error) {
	r := &records{store: s, deadKeys: map[string]struct{}{}}
	var errs [2]error
	r.table, errs[0] = s.Table(ctx, store.TableConfig{Name: "deliveries", MaxAge: history})
	r.dead, errs[1] = s.Table(ctx, store.TableConfig{Name: "dead", MaxAge: history})
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	return r, r.dead.Watch(watching, ">", r.deadChanged)
}

func (r *records) deadChanged(c store.Change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.Gone {
		delete(r.deadKeys, c.Key)
		return
	}
	r.deadKeys[c.Key] = struct{}{}
}

func (r *records) deadCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.deadKeys)
}

func (r *records) id(subscriptionID, eventID string) string {
	return r.store.ID("dlv_", eventID, subscriptionID)
}

// of returns the delivery of an event as it is stored, else a new one. What is stored of
// an earlier event with the same id, which is not kept any more, makes way.
func (r *records) of(ctx context.Context, subscriptionID string, e *event.Event) (*delivery, error) {
	d := newDelivery(r.id(subscriptionID, e.ID), subscriptionID, e)
	stored, err := r.get(ctx, d.key())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return d, nil
	case err != nil:
		return nil, fmt.Errorf("reading a delivery: %w", err)
	case stored.Position >= e.Position:
		return stored, nil
	}
	d.revision = stored.revision
	return d, nil
}

// get returns a stored delivery, or store.ErrNotFound.
func (r *records) get(ctx context.Context, key string) (*delivery, error) {
	record, err := r.table.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return readDelivery(record)
}

func readDelivery(r store.Record) (*delivery, error) {
	d := &delivery{revision: r.Revision}
	tokens := strings.Split(r.Key, ".")
	if err := json.Unmarshal(r.Value, d); err != nil || len(tokens) != 3 {
		return nil, fmt.Errorf("%w: delivery %s", store.ErrDamaged, r.Key)
	}
	d.Subscription, d.Session, d.Updated = tokens[0], tokens[1], r.At
	return d, nil
}

// find returns the delivery with that id, or ErrNotFound.
func (r *records) find(ctx context.Context, id string) (*delivery, error) {
	if !store.IsID(id) {
		return nil, ErrNotFound
	}
	found, err := r.table.List(ctx, "*.*."+id, 0, 1)
	if err != nil {
		return nil, fmt.Errorf("webhook: reading a delivery: %w", err)
	}
	if len(found) == 0 {
		return nil, ErrNotFound
	}
	return readDelivery(found[0])
}

// write makes d durable. It fails with store.ErrConflict if somebody else has changed it
// since it was read, and does nothing about an event that was erased.
func (r *records) write(ctx context.Context, d *delivery) error {
	writes := r.writes.of(d.Session)
	writes.RLock()
	defer writes.RUnlock()
	if r.erased.has(d.Session, d.Position) {
		return nil
	}
	value := encoded(d)
	write := func() (err error) {
		if d.revision == 0 {
			_, err = r.table.Create(ctx, d.key(), value, 0)
		} else {
			_, err = r.table.Update(ctx, d.key(), value, d.revision, 0)
		}
		return err
	}
	err := write()
	if errors.Is(err, store.ErrConflict) && r.isBehind(ctx, d) {
		err = write()
	}
	return err
}

// encoded is the JSON of a record or of an item.
func encoded(v any) []byte {
	value, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types always have one
	}
	return value
}

// isBehind reports whether what is stored says less than d: it is about an earlier event
// with the same id, or a redelivery was noted while its attempt was under way already. d
// then has the revision of that.
func (r *records) isBehind(ctx context.Context, d *delivery) bool {
	stored, err := r.get(ctx, d.key())
	if err != nil {
		return false
	}
	earlier := stored.Position < d.Position
	if !earlier && (d.Round == 0 || stored.Round != d.Round || stored.Tries >= d.Tries) {
		return false
	}
	d.revision = stored.revision
	return true
}

// settle keeps the list of dead deliveries true. A delivery that is delivered again
// stays in it until that is over, so that nobody else has to write there.
func (r *records) settle(ctx context.Context, d *delivery) (err error) {
	writes := r.writes.of(d.Session)
	writes.RLock()
	defer writes.RUnlock()
	switch {
	case r.erased.has(d.Session, d.Position):
	case d.State == Dead:
		_, err = r.dead.Put(ctx, d.key(), []byte{'1'}, 0)
	case d.Round > 0:
		err = r.dead.Delete(ctx, d.key())
	}
	if err != nil {
		return fmt.Errorf("updating the list of dead deliveries: %w", err)
	}
	return nil
}

// erase erases the deliveries of a session's events up to a position. Attempts under way for
// them record nothing any more.
func (r *records) erase(ctx context.Context, sessionID string, position uint64) error {
	writes := r.writes.of(sessionID)
	writes.Lock() // what is being written now is there when deliveries are erased
	r.erased.add(sessionID, position)
	writes.Unlock()
	for before := uint64(0); ; {
		found, err := r.table.List(ctx, "*."+sessionID+".*", before, 100)
		if err != nil || len(found) == 0 {
			return err
		}
		for _, record := range found {
			before = record.Revision
			if d, err := readDelivery(record); err == nil && d.Position > position {
				continue
			}
			if err := errors.Join(r.table.Delete(ctx, record.Key), r.dead.Delete(ctx, record.Key)); err != nil {
				return err
			}
		}
	}
}
