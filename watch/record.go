package watch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"pollbridge/session"
)

// End says how the watch of a session ended.
type End uint8

// The ways in which a watch ends. The zero value means that it has not.
const (
	Watching  End = iota
	Final         // the session is in a final state
	NotFound      // the upstream does not know it, and did not for long enough
	Abandoned     // the deadline has passed
)

// Session is a session that is or was watched, as the management API shows it.
type Session struct {
	ID       string // ses_…
	Account  string // acc_…
	Endpoint string
	Locale   string
	Token    string
	State    session.State
	End      End
	Created  time.Time // when it was first seen
	Changed  time.Time // when its state last changed
	Deadline time.Time // when it is given up
}

// Status is the state in a word: "abandoned", or the state's name.
func (s Session) Status() string {
	if s.End == Abandoned {
		return "abandoned"
	}
	return s.State.String()
}

// record is what is durable about a session: the one thing that is written before anybody
// is told of it, and that its watch is taken up from after a crash.
type record struct {
	variant *session.Variant
	state   session.State
	end     End
	// announced means that the event of its first state is durable. If it is not said, it
	// may be, all the same.
	announced        bool
	from             origin // what created is
	created, changed time.Time
	// pending is what the upstream last said while the session was pending, if that is
	// known; see keepPending.
	pending *session.Observation
}

// newRecord is of a session that is watched from now on.
func newRecord(v *session.Variant, state session.State, seen time.Time) record {
	return record{variant: v, state: state, created: seen, changed: seen}
}

// The form of a record. The first one has no pending answer.
const (
	firstRecordVersion = 1
	recordVersion      = 2
)

var errRecord = errors.New("watch: not a session record")

// at is the record with its times by a clock that is so far ahead.
func (r record) at(ahead time.Duration) record {
	r.created, r.changed = r.created.Add(ahead), r.changed.Add(ahead)
	if r.pending != nil && ahead != 0 {
		o := *r.pending
		o.At = o.At.Add(ahead)
		r.pending = &o
	}
	return r
}

func (r record) append(dst []byte) []byte {
	announced := byte(0)
	if r.announced {
		announced = 1
	}
	dst = append(dst, recordVersion, byte(r.end), announced)
	dst = binary.AppendUvarint(dst, uint64(r.from)) // told watches of one session apart, once
	dst = binary.AppendVarint(dst, r.created.UnixNano())
	dst = binary.AppendVarint(dst, r.changed.UnixNano())
	name := r.state.String()
	dst = append(append(dst, byte(len(name))), name...)
	pending := r.pending
	if r.end != Watching {
		pending = nil // nobody is answered with it any more
	}
	dst = appendPending(dst, r.variant, pending)
	return r.variant.AppendDurable(dst)
}

// readRecord reads what append wrote. Where only the variant cannot be read, the rest
// is returned with the error.
func (w *Watcher) readRecord(value []byte) (record, error) {
	if len(value) < 3 {
		return record{}, errRecord
	}
	version := value[0]
	if version != recordVersion && version != firstRecordVersion {
		return record{}, fmt.Errorf("watch: session record has format version %d, which this version does not know", version)
	}
	r := record{end: End(value[1]), announced: value[2] == 1}
	in := fields{rest: value[3:]}
	if in.uvarint() == uint64(started) {
		r.from = started
	}
	r.created, r.changed = time.Unix(0, in.varint()), time.Unix(0, in.varint())
	r.state = session.StateNamed(string(in.sized())) // its length has one byte: it is short
	var pending []byte
	if version != firstRecordVersion {
		pending = in.sized()
	}
	if in.wrong {
		return record{}, errRecord
	}
	var err error
	if r.variant, err = w.options.Table.ReadDurable(in.rest); err == nil {
		r.pending = w.pending.read(r.variant, pending)
	}
	return r.at(-w.store.Ahead()), err
}

// fields reads what is encoded one after the other. What it returns is of no use if wrong is
// set at the end.
type fields struct {
	rest  []byte
	wrong bool
}

func (f *fields) uvarint() uint64 {
	value, n := binary.Uvarint(f.rest)
	f.skip(n)
	return value
}

func (f *fields) varint() int64 {
	value, n := binary.Varint(f.rest)
	f.skip(n)
	return value
}

// sized reads what stands behind its length. It is part of what is read.
func (f *fields) sized() []byte {
	size := f.uvarint()
	if size > uint64(len(f.rest)) {
		f.skip(0)
		return nil
	}
	value := f.rest[:size]
	f.rest = f.rest[size:]
	return value
}

// skip goes on behind a number; one that could not be read has no length.
func (f *fields) skip(n int) {
	if n <= 0 {
		f.rest, f.wrong = nil, true
		return
	}
	f.rest = f.rest[n:]
}
