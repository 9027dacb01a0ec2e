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

// Statuses are all that [Session.Status] may say.
func Statuses() []string {
	names := []string{"abandoned"}
	for s := session.Unknown; s <= session.NotFound; s++ {
		names = append(names, s.String())
	}
	return names
}

// record is what is durable about a session. It is also the value of its item in the
// queue, from which a watch can be taken up without reading anything else.
type record struct {
	variant *session.Variant
	state   session.State
	end     End
	// announced means that the event of its first state was made.
	announced bool
	// generation tells this watch of the session from earlier ones; it grows.
	generation       uint64
	created, changed time.Time
}

// newRecord is of a session that is watched from now on.
func newRecord(v *session.Variant, state session.State, seen, now time.Time) record {
	return record{variant: v, state: state, created: seen, changed: seen, generation: uint64(now.UnixNano())}
}

const recordVersion = 1

var errRecord = errors.New("watch: not a session record")

func (r record) append(dst []byte) []byte {
	announced := byte(0)
	if r.announced {
		announced = 1
	}
	dst = append(dst, recordVersion, byte(r.end), announced)
	dst = binary.AppendUvarint(dst, r.generation)
	dst = binary.AppendVarint(dst, r.created.UnixNano())
	dst = binary.AppendVarint(dst, r.changed.UnixNano())
	name := r.state.String()
	dst = append(append(dst, byte(len(name))), name...)
	return r.variant.AppendDurable(dst)
}

// readRecord reads what append wrote. Where only the variant cannot be read, the rest
// is returned with the error.
func readRecord(table *session.Table, value []byte) (record, error) {
	if len(value) < 3 {
		return record{}, errRecord
	}
	if value[0] != recordVersion {
		return record{}, fmt.Errorf("watch: session record has format version %d, which this version does not know", value[0])
	}
	r := record{end: End(value[1]), announced: value[2] == 1}
	value = value[3:]
	generation, n := binary.Uvarint(value)
	if n <= 0 {
		return record{}, errRecord
	}
	r.generation, value = generation, value[n:]
	for _, at := range []*time.Time{&r.created, &r.changed} {
		nanoseconds, n := binary.Varint(value)
		if n <= 0 {
			return record{}, errRecord
		}
		*at, value = time.Unix(0, nanoseconds), value[n:]
	}
	if len(value) == 0 || int(value[0]) >= len(value) {
		return record{}, errRecord
	}
	name := string(value[1 : 1+value[0]])
	for s := session.Unknown; s <= session.NotFound; s++ {
		if s.String() == name {
			r.state = s
		}
	}
	var err error
	r.variant, err = table.ReadDurable(value[1+len(name):])
	return r, err
}
