package store

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

// The server reads a stream forwards only, so a listing that starts with the newest
// reads a window at its end, then one before that, and so on. Where all records match, and are
// not very many, a window is read as a whole, which costs one request; but for that the server
// counts what lies behind the window, subject by subject. Else it is asked for one match after
// the other, which costs it little however many others there are, and windows become wider while
// little matches.
const (
	firstWindow = 256
	widest      = 1 << 18
	// manyEach is how many records cost as much to be counted as one does to be asked for.
	manyEach = 40
	// pieces is how many parts of a window are read at a time, message by message. What is asked waits
	// for all that others have asked before, and of what many write for that to be on the disk, each
	// time: so it is asked at once, and not one after the other.
	pieces = 128
)

// List returns up to limit records whose key matches, the ones that changed last
// first, all of a revision lower than before if that is not 0. To go on, pass the
// revision of the last record. match is a key in which * stands for one token and a >
// at the end for all further ones. A record that cannot be decrypted is logged and
// left out.
func (b *Bucket) List(ctx context.Context, match string, before uint64, limit int) ([]Record, error) {
	if err := checkMatch(match); err != nil {
		return nil, err
	}
	state, err := b.state(ctx)
	if err != nil {
		return nil, err
	}
	newest, oldest := state.LastSeq, max(1, state.FirstSeq)
	many := state.Msgs > uint64(manyEach*limit)
	if before > 0 {
		newest = min(newest, before-1)
	}
	var records []Record
	for window := uint64(min(max(limit, firstWindow/4), firstWindow)); newest >= oldest && newest > 0 && len(records) < limit; {
		from := oldest
		if newest-oldest >= window {
			from = newest - window + 1
		}
		most := 2*(limit-len(records)) + firstWindow
		found, err := b.window(ctx, match, from, newest, most, many)
		if err != nil {
			return nil, err
		}
		if len(found) > most { // what was read costs no more than it would have in narrow windows
			window = max(firstWindow, window/16)
			continue
		}
		for _, m := range slices.Backward(found) {
			if record, ok := b.readable(m); ok && len(records) < limit {
				records = append(records, record)
			}
		}
		if uint64(len(found)) < window/8 {
			window = min(2*window, widest)
		}
		newest = from - 1
	}
	return records, nil
}

// window returns what matches between two sequences. If that is more than most, it
// returns some of it that is, unless the window is as narrow as the first. many says that the
// stream has too many records to read a window as a whole.
func (b *Bucket) window(ctx context.Context, match string, from, to uint64, most int, many bool) (found []*message, err error) {
	switch {
	case match != ">":
		return b.piece(ctx, match, from, to, newRoom(most))
	case many:
		return b.allPieces(ctx, from, to, most)
	}
	err = b.scan(ctx, "", from, int(to-from+1), func(m *message) bool {
		if m.Sequence > to {
			return false
		}
		if !gone(m) {
			found = append(found, m)
		}
		return len(found) <= most
	})
	return found, err
}

// newRoom is for how many messages of a window are read. Where one more was, it is less than none.
func newRoom(most int) *atomic.Int64 {
	room := &atomic.Int64{}
	room.Store(int64(most))
	return room
}

// piece is window, message by message, while there is room.
func (b *Bucket) piece(ctx context.Context, match string, from, to uint64, room *atomic.Int64) (found []*message, err error) {
	for ; from <= to && room.Load() >= 0; from++ {
		m, err := b.nextListed(ctx, from, b.subject(match))
		if errors.Is(err, ErrNotFound) || err == nil && m.Sequence > to {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		if from = m.Sequence; !gone(m) {
			found = append(found, m)
			room.Add(-1)
		}
	}
	return found, nil
}

// allPieces is piece of all records, several pieces at a time.
func (b *Bucket) allPieces(ctx context.Context, from, to uint64, most int) (all []*message, err error) {
	size, room := (to-from)/pieces+1, newRoom(most)
	var found [pieces][]*message
	reading, ctx := errgroup.WithContext(ctx)
	for i := range found {
		begin := from + uint64(i)*size
		if begin > to {
			break
		}
		reading.Go(func() (err error) {
			found[i], err = b.piece(ctx, ">", begin, min(to, begin+size-1), room)
			return err
		})
	}
	err = reading.Wait()
	return slices.Concat(found[:]...), err
}

// Each calls f with all records whose keys match one of those given, or with all if none is, some
// at a time: several goroutines do, in no order. One that changes meanwhile may come twice. A record that cannot be decrypted is logged and left out.
// Where there are very many, that is faster than List.
func (b *Bucket) Each(ctx context.Context, f func([]Record), matches ...string) error {
	var filters []string
	for _, match := range matches {
		if err := checkMatch(match); err != nil {
			return err
		}
		filters = append(filters, b.subject(match))
	}
	batches := make(chan []*message)
	var reading sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		reading.Go(func() {
			for batch := range batches {
				f(b.allReadable(batch))
			}
		})
	}
	err := b.consume(ctx, jetstream.ConsumerConfig{FilterSubjects: filters}, func(some []*message) { batches <- some })
	close(batches)
	reading.Wait()
	return err
}

// EachNow calls f with each record whose key matches, also with those that were written just before the call, one
// after the other: what it costs grows with their number. f may change the bucket, and one that changes meanwhile
// comes again as it is then. A record that cannot be decrypted is logged and left out.
func (b *Bucket) EachNow(ctx context.Context, match string, f func(Record) error) error {
	if err := checkMatch(match); err != nil {
		return err
	}
	return b.messages(ctx, b.subject(match), func(m *message) (more bool, err error) {
		if gone(m) {
			return true, nil
		}
		if record, ok := b.readable(m); ok {
			err = f(record)
		}
		return true, err
	})
}

func (b *Bucket) allReadable(messages []*message) []Record {
	records := make([]Record, 0, len(messages))
	for _, m := range messages {
		if gone(m) {
			continue
		}
		if record, ok := b.readable(m); ok {
			records = append(records, record)
		}
	}
	return records
}

// Newest returns the revision of the newest record of all, or 0 if there never was one.
func (b *Bucket) Newest(ctx context.Context) (uint64, error) {
	newest, _, err := b.bounds(ctx)
	return newest, err
}

// readable returns the record of a message, or logs why it cannot be read.
func (b *Bucket) readable(m *message) (Record, bool) {
	record, err := b.record(m)
	if err != nil {
		b.s.log.Error("record cannot be decrypted, skipping it", "bucket", b.id, "key", record.Key, "error", err)
	}
	return record, err == nil
}
