package peer_test

import (
	"crypto/tls"
	"net"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"pollbridge/internal/peer"
)

// from is a connection from an address.
type from struct {
	net.Conn
	remote net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.remote }

// TestOf: also of a connection that TLS runs over.
func TestOf(t *testing.T) {
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
		client := from{remote: c.remote}
		for name, conn := range map[string]net.Conn{"plain": client, "TLS": tls.Server(client, &tls.Config{})} {
			app := fiber.New()
			context := &fasthttp.RequestCtx{}
			context.Init2(conn, nil, false)
			ctx := app.AcquireCtx(context)
			if got := peer.Of(ctx).String(); got != c.want {
				t.Errorf("%s from %v: Of = %v; want %s", name, c.remote, got, c.want)
			}
			app.ReleaseCtx(ctx)
		}
	}
}
