package proxy

import (
	"net"
	"net/netip"

	"github.com/gofiber/fiber/v2"
)

// peer is the other side of a connection. It stays the same for all requests on it,
// so it is found out and written down once.
type peer struct {
	address netip.Addr
	text    string
}

// newPeer returns the peer with the address of a connection.
func newPeer(remote net.Addr) peer {
	ip := net.IPv4zero
	if tcp, ok := remote.(*net.TCPAddr); ok {
		ip = tcp.IP
	}
	address, _ := netip.AddrFromSlice(ip)
	address = address.Unmap()
	return peer{address, address.String()}
}

// peerOf returns who sent a request.
func peerOf(c *fiber.Ctx) peer {
	if conn := connOf(c); conn != nil {
		return conn.peer
	}
	return newPeer(c.Context().RemoteAddr())
}
