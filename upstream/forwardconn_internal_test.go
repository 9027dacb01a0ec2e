package upstream

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestIdleConnectionIsKnownByItsReader, however late that comes on a busy machine.
func TestIdleConnectionIsKnownByItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, closes := range []bool{false, true} {
			here, there := net.Pipe()
			conn := newForwardConn(here)
			start := time.Now()
			time.AfterFunc(time.Hour, func() {
				if closes {
					conn.Close()
				} else {
					conn.Read(make([]byte, 1))
				}
			})
			if idle := conn.isIdle(); idle == closes || time.Since(start) != time.Hour {
				t.Errorf("closed %t: idle %t after %v; want the contrary after 1h", closes, idle, time.Since(start))
			}
			there.Close()
			synctest.Wait()
		}
	})
}
