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
	store   *store.Store
	events  *event.Log
	history time.Duration
	bucket  *store.Bucket
	dead    *store.Bucket // the keys of dead deliveries, so that they are found and counted

	mu       sync.Mutex
	deadKeys map[string]struct{} // as the bucket has them; guarded by mu
}

// openRecords opens the buckets. watching is for how long what is dead is counted.
func openRecords(ctx, watching context.Context, s *store.Store, events *event.Log, history time.Duration) (*records, error) {
	r := &records{store: s, events: events, history: history, deadKeys: map[string]struct{}{}}
	var errs [2]error
	r.bucket, errs[0] = s.Bucket(ctx, store.BucketConfig{Name: "deliveries", MaxAge: history})
	r.dead, errs[1] = s.Bucket(ctx, store.BucketConfig{Name: "dead", MaxAge: history})
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	_, err := r.dead.Watch(watching, ">", r.deadChanged)
	return r, err
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

// of returns the delivery that work is about as it is stored, else a new one. What is stored
// of an earlier event with the same id, which is not kept any more, makes way.
func (r *records) of(ctx context.Context, w work) (*delivery, error) {
	d := r.begun(w)
	stored, err := r.get(ctx, d.key())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return d, nil
	case err != nil:
		return nil, fmt.Errorf("reading a delivery: %w", err)
	case stored.Position >= w.Position:
		return stored, nil
	}
	d.revision = stored.revision
	return d, nil
}

// get returns a stored delivery, or store.ErrNotFound.
func (r *records) get(ctx context.Context, key string) (*delivery, error) {
	record, err := r.bucket.Get(ctx, key)
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
	found, err := r.bucket.List(ctx, "*.*."+id, 0, 1)
	if err != nil {
		return nil, fmt.Errorf("webhook: reading a delivery: %w", err)
	}
	if len(found) == 0 {
		return nil, ErrNotFound
	}
	return readDelivery(found[0])
}

// errErased means that the session of an event was erased: nothing is recorded of it.
var errErased = errors.New("the event was erased")

// write makes d durable. It fails with store.ErrConflict if somebody else has changed it
// since it was read. After it reconcile is called.
func (r *records) write(ctx context.Context, d *delivery) error {
	var revision uint64
	var err error
	if value := store.JSON(d); d.revision == 0 {
		revision, err = r.bucket.Create(ctx, d.key(), value, 0)
	} else {
		revision, err = r.bucket.Update(ctx, d.key(), value, d.revision, 0)
	}
	if err == nil {
		d.revision = revision
	}
	return err
}

// reconcile keeps the list of dead deliveries true to what was written, and takes both back
// with errErased if the event was erased. It may be called again.
func (r *records) reconcile(ctx context.Context, d *delivery) error {
	if err := r.listDead(ctx, d); err != nil {
		return fmt.Errorf("updating the list of dead deliveries: %w", err)
	}
	if erased, err := r.isErased(ctx, d); err != nil || !erased {
		return err
	}
	err := r.bucket.DeleteIf(ctx, d.key(), d.revision)
	if errors.Is(err, store.ErrConflict) {
		return errErased // whoever has written since takes that back
	}
	return errors.Join(errErased, err, r.dead.Delete(ctx, d.key()))
}

// listDead enters a dead delivery into their list. One that is delivered again stays in it until
// that is over, so that nobody else has to write there.
func (r *records) listDead(ctx context.Context, d *delivery) (err error) {
	switch {
	case d.State == Dead:
		if _, err = r.dead.Put(ctx, d.key(), []byte{'1'}, 0); err == nil {
			err = r.unlistDead(ctx, d)
		}
	case d.over() && (d.Round > 0 || d.WasDead):
		err = r.dead.Delete(ctx, d.key())
	}
	return err
}

// unlistDead takes d off the list again if it has arrived since it was written as dead: whoever
// wrote that may have been at the list before.
func (r *records) unlistDead(ctx context.Context, d *delivery) error {
	now, err := r.get(ctx, d.key())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil || now.State == Dead || !now.over():
		return err
	}
	return r.dead.Delete(ctx, d.key())
}

// isErased reports whether the event of d was erased. It is asked after a record was
// written: whoever erases a session erases its events, and after that looks for records. So
// one of the two always sees what the other has done.
func (r *records) isErased(ctx context.Context, d *delivery) (bool, error) {
	_, err := r.events.Get(ctx, d.Position)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return !r.forgets(d), nil
	case errors.Is(err, store.ErrDamaged):
		return false, nil
	}
	return false, err
}

// forgets reports whether the event of d is as old as events become. That is no reason to
// forget what became of it, too.
func (r *records) forgets(d *delivery) bool {
	recorded := d.Recorded
	if recorded.IsZero() && d.revision > 0 {
		recorded = d.Created // nearly the same
	}
	return r.past(recorded)
}

// past reports whether an event that was recorded then is as old as events become; not where that is
// not known.
func (r *records) past(recorded time.Time) bool { return !recorded.IsZero() && r.left(recorded) < 0 }

// left is for how much longer an event is stored that was recorded then.
func (r *records) left(recorded time.Time) time.Duration {
	return r.history - time.Second - r.store.Now().Sub(recorded)
}
