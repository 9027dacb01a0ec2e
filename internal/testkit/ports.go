package testkit

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Ports returns ports of the loopback that other processes can listen on, also again after they
// were ended. They are not of those that the kernel gives to whoever connects: one of these could
// be taken at any moment. Tests in other processes do not get them meanwhile: whoever has a port of TCP
// here holds the one of UDP with the same number.
func Ports(t testing.TB, n int) (ports []string) {
	t.Helper()
	const first, last = 12_000, 30_000
	for tries := 0; len(ports) < n; tries++ {
		if tries > 1000 {
			t.Fatal("there are no free ports")
		}
		port := strconv.Itoa(first + rand.IntN(last-first))
		held, err := net.ListenPacket("udp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		t.Cleanup(func() { held.Close() })
		ln, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		defer ln.Close() // when all are found, so that no two are the same
		ports = append(ports, port)
	}
	return ports
}
