package admin

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestProgressCounts sends a large answer to those who read slowly, and to those who stop.
func TestProgressCounts(t *testing.T) {
	const size, chunk = 21_000_000, 50_000
	for _, test := range []struct {
		rate, reads int // bytes a second, and in all
		want        error
		least, most time.Duration
	}{
		{500_000, size, nil, 41 * time.Second, 43 * time.Second},
		{20_000, size, nil, 17 * time.Minute, 18 * time.Minute},
		{10_000, size, os.ErrDeadlineExceeded, 30 * time.Second, 31 * time.Second},
		{500_000, 5_000_000, os.ErrDeadlineExceeded, 30 * time.Second, 41 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, below := net.Pipe()
			conn := &pacedConn{Conn: below}
			var reader sync.WaitGroup
			defer reader.Wait()
			defer client.Close()
			reader.Go(func() {
				buffer := make([]byte, chunk)
				for read := 0; read < test.reads; {
					n, err := io.ReadFull(client, buffer)
					if err != nil {
						return
					}
					read += n
					time.Sleep(time.Duration(n) * time.Second / time.Duration(test.rate))
				}
			})
			begin := time.Now()
			conn.SetWriteDeadline(begin.Add(writeTime)) // as the engine does
			n, err := conn.Write(make([]byte, size))
			if took := time.Since(begin); !errors.Is(err, test.want) || (n == size) != (err == nil) || took < test.least || took > test.most {
				t.Errorf("%d bytes a second, %d in all: %d bytes written in %v, %v; want %v in %v to %v", test.rate, test.reads, n, took, err, test.want, test.least, test.most)
			}
		})
	}
}
