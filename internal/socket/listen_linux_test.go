package socket_test

import (
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pollbridge/internal/socket"
)

// congestionControl is what the connections use that listener lets in.
func congestionControl(t *testing.T, listener net.Listener) (name string) {
	t.Helper()
	port := listener.Addr().(*net.TCPAddr).Port
	client, err := net.DialTCP("tcp", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		name, err = unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
	}); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimRight(name, "\x00")
}

// TestListenPacesOnlyWhatLeaves: connections from elsewhere have the congestion control
// of the system.
func TestListenPacesOnlyWhatLeaves(t *testing.T) {
	system, err := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control")
	if err != nil {
		t.Skip("not to be found out on this system")
	}
	for address, want := range map[string]string{
		"127.0.0.1:0": "reno",
		"localhost:0": "reno",
		":0":          strings.TrimSpace(string(system)),
		"0.0.0.0:0":   strings.TrimSpace(string(system)),
	} {
		listener, err := socket.Listen(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := congestionControl(t, listener); got != want {
			t.Errorf("a connection at %s uses %s; want %s", address, got, want)
		}
		listener.Close()
	}
	if listener, err := socket.Listen("no address"); err == nil || listener != nil {
		t.Errorf("Listen at no address = %v, %v; want an error", listener, err)
	}
}
