package upstream

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/proxy"

	"pollbridge/internal/check"
)

// longAgo is a deadline that ends reading and writing at once.
var longAgo = time.Unix(1, 0)

// dialer makes connections to the upstream, through a proxy if there is one. It asks
// DNS at each dial.
type dialer struct {
	address string
	tls     *tls.Config // nil for plain connections
	timeout time.Duration

	proxy    *url.URL // nil if there is none
	proxyTLS *tls.Config
}

func newDialer(cfg Config, base *url.URL) (*dialer, error) {
	roots, err := check.Authorities(cfg.CAFile, nil)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	d := &dialer{address: address(base), timeout: cfg.Timeout}
	if base.Scheme == "https" {
		d.tls = &tls.Config{RootCAs: roots, ServerName: base.Hostname(), MinVersion: tls.VersionTLS12}
	}
	if cfg.ProxyURL == "" {
		return d, nil
	}
	if d.proxy, err = url.Parse(cfg.ProxyURL); err != nil {
		return nil, errors.New("proxy_url: cannot be read") // the error would show the password
	}
	// Nothing else says who vouches for the proxy, so it may be whoever does for others.
	proxyRoots, err := x509.SystemCertPool()
	if err == nil {
		proxyRoots, err = check.Authorities(cfg.CAFile, proxyRoots)
	}
	if err != nil {
		return nil, fmt.Errorf("proxy_url: %w", err)
	}
	d.proxyTLS = &tls.Config{RootCAs: proxyRoots, ServerName: d.proxy.Hostname(), MinVersion: tls.VersionTLS12}
	return d, nil
}

// address is the host and the port of a URL.
func address(u *url.URL) string {
	usual := map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), usual[u.Scheme]))
}

var errProxyAuth = errors.New("upstream.proxy_url: the proxy wants another user or password")

// connectError is the error of a connection that could not be made. Its text is about
// the network and holds no secret.
type connectError struct{ error }

func (e *connectError) Unwrap() error { return e.error }

// dial makes a connection on which the upstream may be asked, in one of the protocols if
// any are named. The error is a *connectError.
func (d *dialer) dial(ctx context.Context, protocols ...string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	conn, err := d.connect(ctx)
	if err == nil && d.tls != nil {
		secured := d.tls.Clone()
		secured.NextProtos = protocols
		conn, err = secure(ctx, conn, secured)
	}
	if err != nil {
		return nil, &connectError{err}
	}
	return conn, nil
}

func secure(ctx context.Context, conn net.Conn, cfg *tls.Config) (net.Conn, error) {
	secure := tls.Client(conn, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// connect makes a connection that leads to the upstream.
func (d *dialer) connect(ctx context.Context) (net.Conn, error) {
	if d.proxy == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", d.address)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address(d.proxy))
	if err == nil && d.proxy.Scheme == "https" {
		conn, err = secure(ctx, conn, d.proxyTLS)
	}
	if err == nil {
		if err = d.passProxy(ctx, conn); err != nil {
			conn.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("upstream.proxy_url: %w", err)
	}
	return conn, nil
}

// passProxy asks the proxy at the other end of conn to lead it on to the upstream, unless
// requests on it will be in absolute form.
func (d *dialer) passProxy(ctx context.Context, conn net.Conn) error {
	switch {
	case d.speaksSOCKS():
		return d.passSOCKS(ctx, conn)
	case d.tls != nil:
		return d.openTunnel(ctx, conn)
	}
	return nil
}

// absolute reports whether requests name the upstream in their first line, for a proxy.
func (d *dialer) absolute() bool {
	return d.tls == nil && d.proxy != nil && !d.speaksSOCKS()
}

func (d *dialer) speaksSOCKS() bool { return strings.HasPrefix(d.proxy.Scheme, "socks") }

// authorization is what the proxy wants as Proxy-Authorization; empty if nothing.
func (d *dialer) authorization() string {
	if d.proxy == nil || d.proxy.User == nil {
		return ""
	}
	password, _ := d.proxy.User.Password()
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(d.proxy.User.Username()+":"+password))
}

func (d *dialer) openTunnel(ctx context.Context, conn net.Conn) error {
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(longAgo) })
	defer stop()
	request := "CONNECT " + d.address + " HTTP/1.1\r\nHost: " + d.address + "\r\n"
	if authorization := d.authorization(); authorization != "" {
		request += "Proxy-Authorization: " + authorization + "\r\n"
	}
	in := bufio.NewReader(io.LimitReader(conn, maxHead))
	var response *http.Response
	_, err := io.WriteString(conn, request+"\r\n")
	if err == nil {
		response, err = http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("CONNECT: %w", ctx.Err())
	case err != nil:
		return fmt.Errorf("CONNECT: %w", sayable(err))
	case response.StatusCode/100 != 2:
		return fmt.Errorf("the proxy answered CONNECT with %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	case in.Buffered() > 0: // the upstream waits for TLS to begin, so this is nobody's
		return errors.New("CONNECT: more than an answer")
	}
	return nil
}

// passSOCKS leaves it to the proxy to find the upstream's address.
func (d *dialer) passSOCKS(ctx context.Context, conn net.Conn) error {
	var auth *proxy.Auth
	if user := d.proxy.User; user != nil {
		password, _ := user.Password()
		auth = &proxy.Auth{User: user.Username(), Password: password}
	}
	dialer, err := proxy.SOCKS5("tcp", address(d.proxy), auth, dialed{conn})
	if err == nil {
		_, err = dialer.(proxy.ContextDialer).DialContext(ctx, "tcp", d.address)
	}
	return err
}

// dialed is a proxy.Dialer for a connection that is there already: what package proxy
// makes itself has no socket to look at.
type dialed struct{ net.Conn }

func (d dialed) Dial(string, string) (net.Conn, error) { return d.Conn, nil }
