package hazard

import (
	"encoding/binary"
	"errors"
	"math"
)

// storedVersion is the form in which counts are stored. It stands for the bins, too.
const storedVersion = 1

var errStored = errors.New("hazard: these are no counts of this version")

// Append appends counts as they are stored: bins that are not empty, each after how many that are.
func (c *Counts) Append(dst []byte) []byte {
	dst = append(dst, storedVersion)
	dst = appendFloat(appendFloat(dst, c.sessions), c.position)
	empty := 0
	for i := range bins {
		if c.ended[i] == 0 && c.pending[i] == 0 {
			empty++
			continue
		}
		dst = binary.AppendUvarint(dst, uint64(empty))
		dst = appendFloat(appendFloat(dst, c.ended[i]), c.pending[i])
		empty = 0
	}
	return dst
}

// Read reads what Append wrote, and nothing that could not be so.
func Read(stored []byte) (*Counts, error) {
	if len(stored) == 0 || stored[0] != storedVersion {
		return nil, errStored
	}
	in := stored[1:]
	c, ok := &Counts{}, true
	next := func() (f float64) {
		if ok = ok && len(in) >= 8; ok {
			f = math.Float64frombits(binary.BigEndian.Uint64(in))
			in = in[8:]
		}
		const most = 1e15 // of sessions, or seconds of them
		ok = ok && f >= 0 && f <= most
		return f
	}
	c.sessions, c.position = next(), next()
	for bin := 0; ok && len(in) > 0; bin++ {
		empty, n := binary.Uvarint(in)
		if n <= 0 || empty >= uint64(bins-bin) {
			return nil, errStored
		}
		in = in[n:]
		bin += int(empty)
		c.ended[bin], c.pending[bin] = next(), next()
	}
	if !ok {
		return nil, errStored
	}
	return c, nil
}

func appendFloat(dst []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(f))
}
