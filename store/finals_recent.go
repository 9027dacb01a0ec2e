package store

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"pollbridge/session"
)

// Recent calls use for the answers that were kept in the time before the newest one, with what
// was asked as read makes of it: those of which a process that was killed may have told nobody.
// Sessions that are not wanted cost next to nothing. What cannot be read is left out: who asks for
// it is told.
func (f *Finals) Recent(ctx context.Context, before time.Duration, wanted func(sessionID string) bool, read func(durable []byte) (*session.Variant, error), use func(*session.Variant, *session.Observation)) error {
	info, err := f.js.Info(ctx)
	if err != nil {
		return f.s.failed("read", err)
	}
	since := info.State.LastTime.Add(-before)
	return f.consume(ctx, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{finalsID + ".answer.>"}, DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since,
	}, func(some []*message) {
		for _, m := range some {
			if v, o := f.asked(ctx, m, wanted, read); o != nil {
				use(v, o)
			}
		}
	})
}

// asked returns what was asked and what the answer was, or nil.
func (f *Finals) asked(ctx context.Context, m *message, wanted func(string) bool, read func([]byte) (*session.Variant, error)) (*session.Variant, *session.Observation) {
	a, err := readAnswer(m.Subject)
	if err != nil || !wanted(a.session) {
		return nil, nil
	}
	content, _, err := f.content(a, m)
	if err != nil {
		return nil, nil
	}
	head, _, err := session.ReadHead(content)
	if err != nil || head.Variant == nil {
		return nil, nil
	}
	v, err := read(head.Variant)
	if err != nil {
		return nil, nil
	}
	o, err := f.read(ctx, v, a, m)
	if err != nil {
		return nil, nil
	}
	return v, o
}
