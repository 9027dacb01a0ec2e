package store

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Count returns how many entries follow a sequence: too few, perhaps, if some have just come, but none
// only where there is none.
func (j *Journal) Count(ctx context.Context, sequence uint64) (int, error) {
	n, err := j.count(ctx, "", sequence+1)
	if err != nil || n > 0 || !j.copied() {
		return n, err
	}
	if more, err := j.more(ctx, sequence); err != nil || !more {
		return 0, err
	}
	return 1, nil
}

// Subjects returns the subjects of which there are items, now or later.
func (q *Queue) Subjects(ctx context.Context) ([]string, error) {
	info, err := q.info(ctx, jetstream.WithSubjectFilter(q.s.prefix.subject(q.id+".>")))
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for subject := range info.State.Subjects {
		tokens := strings.Split(strings.TrimPrefix(q.s.prefix.cut(subject), q.id+"."), ".") // do or at, subject, name
		if len(tokens) == 3 {
			found[tokens[1]] = true
		}
	}
	return slices.Collect(maps.Keys(found)), nil
}

// Consumed returns the subjects that somebody consumes, or did some minutes ago.
func (q *Queue) Consumed(ctx context.Context) (subjects []string, err error) {
	ctx, cancel := q.s.look(ctx)
	defer cancel()
	subjects, err = untilAnswered(ctx, q.s, func(ctx context.Context) (names []string, err error) {
		list := q.js.ConsumerNames(ctx)
		for name := range list.Name() {
			names = append(names, name)
		}
		return names, list.Err()
	})
	return subjects, q.s.failed("read", err)
}
