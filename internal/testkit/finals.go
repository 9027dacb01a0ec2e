// Package testkit is what tests of several packages share. No program imports it.
package testkit

import (
	"context"
	"sync"
	"time"

	"pollbridge/session"
)

// Finals keeps final observations in memory, for a cache without a store. It is safe
// for concurrent use. The zero value keeps them for ever.
type Finals struct {
	Retain time.Duration // 0: for ever

	mu   sync.Mutex
	kept []keptFinal // guarded by mu
}

type keptFinal struct {
	variant *session.Variant
	o       *session.Observation
}

// Keep never fails. What was kept first in a locale stays.
func (f *Finals) Keep(_ context.Context, v *session.Variant, o *session.Observation) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, kept := range f.keptLocked(v.Key()) {
		if kept.Serves(int(o.Locale)) {
			return nil
		}
	}
	f.kept = append(f.kept, keptFinal{v, o})
	return nil
}

// Load never fails.
func (f *Finals) Load(_ context.Context, v *session.Variant) ([]*session.Observation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keptLocked(v.Key()), nil
}

func (f *Finals) keptLocked(key string) []*session.Observation {
	var all []*session.Observation
	for _, each := range f.kept {
		if each.variant.Key() == key && f.retained(each.o) {
			all = append(all, each.o)
		}
	}
	return all
}

// Other never fails.
func (f *Finals) Other(_ context.Context, v *session.Variant) (*session.Observation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, each := range f.kept {
		w := each.variant
		if w.Key() != v.Key() && w.Endpoint.Name == v.Endpoint.Name && w.Token == v.Token && w.Credential == v.Credential && f.retained(each.o) {
			return each.o, nil
		}
	}
	return nil, nil
}

func (f *Finals) retained(o *session.Observation) bool {
	return f.Retain == 0 || o.Age(time.Now()) < f.Retain
}
