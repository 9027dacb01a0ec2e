package store

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// OwnKeys returns what the store's own records say about its key.
func (s *Store) OwnKeys(ctx context.Context) (k Keys, err error) {
	check, err := s.own.last(ctx, s.own.subject(checkRecord))
	if err != nil {
		return k, err
	}
	ids, err := s.own.last(ctx, s.own.subject(idRecord))
	if err != nil {
		return k, err
	}
	return Keys{check.Data, ids.Data}, nil
}

// Outgoing is a stream of which all is read, to be moved.
type Outgoing struct {
	stream
	MovedStream
}

// Outgoing returns a stream, or ErrNotFound.
func (s *Store) Outgoing(ctx context.Context, name string) (*Outgoing, error) {
	st, err := s.existing(ctx, name)
	if err != nil {
		return nil, err
	}
	info := st.js.CachedInfo()
	return &Outgoing{st, MovedStream{name, s.portable(info.Config), info.State.Msgs}}, nil
}

// portable is what a stream's configuration says that is the same at any server.
func (s *Store) portable(cfg jetstream.StreamConfig) jetstream.StreamConfig {
	subjects := slices.Clone(cfg.Subjects)
	for i := range subjects {
		subjects[i] = s.prefix.cut(subjects[i])
	}
	return jetstream.StreamConfig{
		Subjects: subjects, Retention: cfg.Retention, MaxAge: cfg.MaxAge, MaxMsgsPerSubject: cfg.MaxMsgsPerSubject, Duplicates: cfg.Duplicates,
		AllowRollup: cfg.AllowRollup, AllowMsgTTL: cfg.AllowMsgTTL, SubjectDeleteMarkerTTL: cfg.SubjectDeleteMarkerTTL, AllowMsgSchedules: cfg.AllowMsgSchedules,
	}
}

// Each calls f with all that is in the stream, in order and some at a time. A value that is written
// anew meanwhile comes at least once, as it was or as it is then. last is the sequence of the newest
// message that there ever was.
func (o *Outgoing) Each(ctx context.Context, f func([]Moved) error) (last uint64, err error) {
	if o.id == followersID {
		return 0, o.eachFollower(ctx, f)
	}
	for from := uint64(1); ; {
		var some []*message
		err := o.s.insisting(ctx, func() (err error) {
			if some, err = o.batch(ctx, "", from, maxBatch); err != nil || len(some) > 0 {
				return err
			}
			// Who was asked may not know of all: what has moved on to the end would be missed.
			m, err := o.next(ctx, from, o.id+".>")
			if err == nil {
				some = []*message{m}
			}
			return err
		})
		if errors.Is(err, ErrNotFound) {
			last, _, err = o.bounds(ctx)
			return max(last, from-1), err
		}
		if err != nil {
			return 0, err
		}
		from = some[len(some)-1].Sequence + 1
		if err := f(o.moved(some)); err != nil {
			return 0, err
		}
	}
}

func (o *Outgoing) moved(some []*message) []Moved {
	moved := make([]Moved, 0, len(some))
	for _, m := range some {
		if gone(m) {
			continue
		}
		each := Moved{
			Key: o.key(m), Sequence: m.Sequence, At: m.Time, Expires: expires(m),
			Schedule: m.Header.Get(jetstream.ScheduleHeader), Data: m.Data,
		}
		if target := m.Header.Get(jetstream.ScheduleTargetHeader); target != "" {
			each.Target = o.s.prefix.cut(target)
		}
		if age := o.Config.MaxAge; age > 0 {
			if end := m.Time.Add(age); each.Expires.IsZero() || end.Before(each.Expires) {
				each.Expires = end
			}
		}
		moved = append(moved, each)
	}
	return moved
}

// eachFollower calls f with how far journals were followed, as a process that is alone notes it.
func (o *Outgoing) eachFollower(ctx context.Context, f func([]Moved) error) error {
	keys, err := o.followerKeys(ctx)
	if err != nil {
		return err
	}
	var moved []Moved
	for _, key := range keys {
		journal, name, _ := strings.Cut(key, ".")
		st, err := o.s.existing(ctx, "JOURNAL_"+journal)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		over, err := (&Journal{stream: st, name: journal}).Followed(ctx, name)
		if err != nil {
			return err
		}
		value := binary.BigEndian.AppendUint64(nil, over)
		moved = append(moved, Moved{Key: key, Sequence: uint64(len(moved) + 1), At: o.s.Now(), Data: o.s.keys.encrypt(placeIn(o.id, key), value)})
	}
	return f(moved)
}

// followerKeys are the keys of all followers: those that were noted, and those of whom the server
// knows.
func (o *Outgoing) followerKeys(ctx context.Context) (keys []string, err error) {
	err = o.scan(ctx, "", 1, math.MaxInt, func(m *message) bool {
		if !gone(m) {
			keys = append(keys, o.key(m))
		}
		return true
	})
	if err != nil || !o.s.shared {
		return keys, err
	}
	streams, err := o.s.Streams(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range streams {
		if !isJournal(name) {
			continue
		}
		followers, err := o.s.durableConsumers(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, follower := range followers {
			if key := strings.TrimPrefix(name, "JOURNAL_") + "." + follower; !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	return keys, nil
}

// durableConsumers are the names of a stream's consumers that outlive those who use them.
func (s *Store) durableConsumers(ctx context.Context, name string) (names []string, err error) {
	st, err := s.existing(ctx, name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.look(ctx)
	defer cancel()
	list := st.js.ListConsumers(ctx)
	for info := range list.Info() {
		if info.Config.Durable != "" {
			names = append(names, info.Config.Durable)
		}
	}
	return names, s.failed("list consumers", list.Err())
}
