package door

import (
	"context"
	"time"

	"pollbridge/session"
	"pollbridge/store"
)

// Unkept holds the final answers that could not be stored yet. [cache.Unkept] does.
type Unkept interface {
	Closest(at time.Time, asked func(*session.Variant) bool) (*session.Observation, *session.Variant)
}

const unkeptKind = "unkept"

// unkeptOf is whose final answer is wanted, and how long ago it was made.
type unkeptOf struct {
	Session string        `json:"session"`
	Age     time.Duration `json:"age"`
}

// UnkeptElsewhere returns the final answer of a session, made at about that time, that is not stored
// because another replica could not do so yet. The error is [store.ErrNotFound] where there is none.
func (d *Door) UnkeptElsewhere(ctx context.Context, sessionID string, at time.Time) (*session.Observation, error) {
	answer, err := d.o.Fleet.AskEverybody(ctx, unkeptKind, appendJSON(nil, unkeptOf{sessionID, time.Since(at)}))
	if err != nil {
		return nil, err
	}
	if len(answer) == 0 {
		return nil, store.ErrNotFound
	}
	found, err := readSighting(d.o.Table, answer, time.Now())
	return found.o, err
}

// unkept tells another replica of one.
func (d *Door) unkept(_ context.Context, message []byte) []byte {
	var of unkeptOf
	if _, err := readJSON(message, &of); err != nil {
		return nil
	}
	o, v := d.o.Unkept.Closest(time.Now().Add(-of.Age), func(v *session.Variant) bool { return d.o.ID(v) == of.Session })
	if o == nil {
		return nil
	}
	return appendSighting(sighting{v: v, o: o, at: o.At})
}
