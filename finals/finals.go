// Package finals keeps final answers for as long as they are retained: what a client was told of
// the end of a signing, or a webhook, is there after a crash, byte for byte. It knows what was
// asked and how an answer is written; package store keeps what it writes.
package finals

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"pollbridge/session"
	"pollbridge/store"
)

// Finals keeps final answers, encrypted, and gives each back until they are over: no longer than
// [store.Config] says since they were made. It implements what package cache needs. It is safe for
// concurrent use.
//
// When an answer was made is stored by the clock of the store's servers, and given back by that of
// this process.
type Finals struct {
	store  *store.Store
	bodies *store.Bodies
}

// Open opens the place for final answers in a store and makes it if it is not there.
func Open(ctx context.Context, s *store.Store) (*Finals, error) {
	bodies, err := s.Bodies(ctx)
	if err != nil {
		return nil, err
	}
	return &Finals{s, bodies}, nil
}

// Keep stores o as an answer to v. When it returns nil, that is durable, and Load finds
// it. The error is store.ErrTooLarge for answers of more than 64 MiB.
func (f *Finals) Keep(ctx context.Context, v *session.Variant, o *session.Observation) error {
	if int(o.Locale) >= len(v.Endpoint.Locales) {
		return fmt.Errorf("finals: an answer in locale %d of %d", o.Locale, len(v.Endpoint.Locales))
	}
	written := session.Write(v, o)
	written.At = written.At.Add(f.store.Ahead())
	head, err := json.Marshal(written)
	if err != nil {
		return fmt.Errorf("finals: %w", err)
	}
	return f.bodies.Keep(ctx, store.Body{
		Owner: f.owner(v), Name: f.question(v) + "." + f.locale(v.Endpoint.Locales[o.Locale]), Made: written.At, Head: head, Body: o.Body,
	})
}

// Final answers belong to a session. Their names say what was asked, and in which locale.

func (f *Finals) owner(v *session.Variant) string { return session.ID(f.store, v) }

func (f *Finals) question(v *session.Variant) string {
	return f.store.Hash("variant", string(v.Identity()))
}

func (f *Finals) locale(l session.Locale) string { return f.store.Hash("locale", l.Name) }

// Load returns the observations that were kept for v's key, the oldest first, with the
// times at which they were made. One that cannot be read is logged and left out.
func (f *Finals) Load(ctx context.Context, v *session.Variant) ([]*session.Observation, error) {
	var observations []*session.Observation
	err := f.bodies.Each(ctx, f.owner(v), f.question(v)+".>", func(stored *store.Stored) (bool, error) {
		o, err := f.observation(ctx, v, stored)
		if o != nil {
			observations = append(observations, o)
		}
		return true, err
	})
	slices.SortStableFunc(observations, func(a, b *session.Observation) int { return a.At.Compare(b.At) })
	return observations, err
}

// Other returns an observation that was kept for another variant of v's session, in
// whatever locale, or nil if there is none. It costs hardly anything then.
func (f *Finals) Other(ctx context.Context, v *session.Variant) (other *session.Observation, err error) {
	own := f.question(v)
	err = f.bodies.Each(ctx, f.owner(v), ">", func(stored *store.Stored) (bool, error) {
		if question, _, _ := strings.Cut(stored.Name, "."); question != own {
			other, err = f.observation(ctx, v, stored)
		}
		return other == nil, err
	})
	return other, err
}

// observation returns what is stored, or nil if its time is over or it is in a locale that the
// endpoint does not have any more.
func (f *Finals) observation(ctx context.Context, v *session.Variant, stored *store.Stored) (*session.Observation, error) {
	_, name, _ := strings.Cut(stored.Name, ".")
	locale := slices.IndexFunc(v.Endpoint.Locales, func(l session.Locale) bool { return f.locale(l) == name })
	if locale < 0 {
		return nil, nil
	}
	written, err := f.read(stored)
	if err != nil || f.isOver(written) {
		return nil, err
	}
	body, err := f.bodies.Body(ctx, stored)
	if err != nil {
		return nil, err
	}
	return written.Observation(locale, body), nil
}

// read returns what a head says. The error is store.ErrDamaged.
func (f *Finals) read(stored *store.Stored) (written session.Written, err error) {
	if json.Unmarshal(stored.Head, &written) != nil {
		err = store.ErrDamaged
	}
	written.At = written.At.Add(-f.store.Ahead())
	return written, err
}

// isOver reports whether an observation was made too long ago to be given to anybody.
func (f *Finals) isOver(written session.Written) bool {
	return !time.Now().Before(written.At.Add(f.bodies.Retain()))
}

// Forget erases the answers to all variants of a session, in all locales.
func (f *Finals) Forget(ctx context.Context, sessionID string) error {
	return f.bodies.Forget(ctx, sessionID)
}
