package store

import (
	"context"
	"time"

	"pollbridge/session"
)

// Finals keeps final answers for Config.Retain, encrypted. It implements what package
// cache needs. It is safe for concurrent use.
type Finals struct{}

// Finals opens the place for final answers and makes it if it is not there.
func (s *Store) Finals(ctx context.Context) (*Finals, error) { panic("store: not built yet") }

// Keep stores o as an answer to v. When it returns nil, that is durable, and Load finds
// it. ErrTooLarge is for answers of more than 64 MiB.
func (f *Finals) Keep(ctx context.Context, v *session.Variant, o *session.Observation) error {
	panic("store: not built yet")
}

// Load returns the observations that were kept for v's key, in that order, with the
// times at which they were made.
func (f *Finals) Load(ctx context.Context, v *session.Variant) ([]*session.Observation, error) {
	panic("store: not built yet")
}

// Forget erases the answers to all variants of v's session, in all locales.
func (f *Finals) Forget(ctx context.Context, sessionID string) error { panic("store: not built yet") }

// SessionID is the id of v's session: its endpoint, token and credential.
func (s *Store) SessionID(v *session.Variant) string {
	return s.ID("ses_", v.Endpoint.Name, v.Token, v.Credential)
}

var _ = time.Second
