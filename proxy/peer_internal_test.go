package proxy

import (
	"crypto/tls"
	"net"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

func TestNewPeer(t *testing.T) {
	for _, c := range []struct {
		remote net.Addr
		want   string
	}{
		{&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}, "192.0.2.1"},
		{&net.TCPAddr{IP: net.ParseIP("::ffff:192.0.2.1")}, "192.0.2.1"},
		{&net.TCPAddr{IP: net.ParseIP("2001:db8::1")}, "2001:db8::1"},
		{&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0"}, "fe80::1"},
		{&net.UnixAddr{Name: "@"}, "0.0.0.0"},
		{nil, "0.0.0.0"},
	} {
		if got := newPeer(c.remote); got.text != c.want || got.address.String() != c.want {
			t.Errorf("newPeer(%v) = %v; want %s", c.remote, got, c.want)
		}
	}
}

// TestPeerOf: the connection knows it, below TLS, too; others are asked.
func TestPeerOf(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	defer here.Close()
	known := newPeer(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)})
	client := &clientConn{Conn: here, peer: known}
	for name, c := range map[string]struct {
		conn net.Conn
		want peer
	}{
		"plain": {client, known},
		"TLS":   {tls.Server(client, &tls.Config{}), known},
		"other": {here, newPeer(nil)},
	} {
		app := fiber.New()
		context := &fasthttp.RequestCtx{}
		context.Init2(c.conn, nil, false)
		ctx := app.AcquireCtx(context)
		if got := peerOf(ctx); got.address != c.want.address || got.text != c.want.text {
			t.Errorf("%s: peerOf = %v; want %v", name, got, c.want)
		}
		app.ReleaseCtx(ctx)
	}
}
