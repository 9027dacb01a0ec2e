package proxy

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// deadlines is a connection that remembers its deadline for writing, and fails a write
// after it.
type deadlines struct {
	net.Conn
	write time.Time
	sets  int
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.write = t
	d.sets++
	return nil
}

func (d *deadlines) Write(p []byte) (int, error) {
	if !time.Now().Before(d.write) {
		return 0, net.ErrClosed
	}
	return len(p), nil
}

// TestTimeToWriteCountsFromTheWrite: however long ago the request came, the last answer
// was written, or the process stood still.
func TestTimeToWriteCountsFromTheWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		below := &deadlines{}
		c := &clientConn{Conn: below}
		for _, pause := range []time.Duration{0, time.Second, 45 * time.Second, time.Hour} {
			time.Sleep(pause)
			if _, err := c.Write([]byte("answer")); err != nil {
				t.Errorf("a write %v after the one before: %v", pause, err)
			}
			if left := time.Until(below.write); left < writeTimeout-deadlineSlack || left > writeTimeout {
				t.Errorf("%v after the write before there are %v to write; want %v", pause, left, writeTimeout)
			}
		}
		if below.sets != 3 {
			t.Errorf("the deadline was set %d times; want 3, as one was nearly right", below.sets)
		}
		large := make([]byte, 10*slowestReading)
		c.Write(large)
		if left := time.Until(below.write); left < writeTimeout+8*time.Second {
			t.Errorf("there are %v to write %d bytes; want more", left, len(large))
		}
	})
}
