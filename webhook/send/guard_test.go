package send_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/webhook/send"
)

// Each of these is an address that webhooks must not reach, in its usual form.
var refusedAddresses = []string{
	"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255",
	"127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.0.1", "169.254.169.254", "169.254.170.2",
	"172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1",
	"198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
	"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:7f00:1",
	"::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::a00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::10.0.0.1",
	"64:ff9b:1:ffff::169.254.169.254", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1",
	"2001:10::1", "2001:20::1", "2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1", "2002:a9fe:a9fe::",
	"2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:127.0.0.1", "3ffe::1", "3fff::1", "5f00::1", "4000::1",
	"fc00::1", "fd00:ec2::254", "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1", "ff0e::1",
}

// TestEverySpellingOfAnAddress: what a URL says, and what is dialled in the end.
func TestEverySpellingOfAnAddress(t *testing.T) {
	cfg := send.DefaultConfig()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var asked atomic.Value
	resolver := testkit.NewResolver(t, func(string) []string { return []string{asked.Load().(string)} })
	for _, address := range refusedAddresses {
		host := address
		if strings.Contains(address, ":") {
			host = "[" + address + "]"
		}
		if err := send.CheckURL(cfg, "https://"+host+"/"); err == nil {
			t.Errorf("registration accepts %s", host)
		}
		if err := send.Dial(ctx, cfg, nil, host+":443"); !errors.Is(err, send.ErrRefused) {
			t.Errorf("dialling %s = %v; want it refused", host, err)
		}
		asked.Store(address)
		if err := send.Dial(ctx, cfg, resolver, "innocent.example:443"); !errors.Is(err, send.ErrRefused) {
			t.Errorf("dialling a name that means %s = %v; want it refused", host, err)
		}
	}
}

// TestSpellingsThatSomeResolversRead: the resolver says 127.0.0.1 to all of them, as
// some do, so that only the address that is dialled can be what is refused.
func TestSpellingsThatSomeResolversRead(t *testing.T) {
	cfg := send.DefaultConfig()
	resolver := testkit.NewResolver(t, func(string) []string { return []string{"127.0.0.1"} })
	for _, host := range []string{
		"127.1", "127.0.1", "2130706433", "0x7f000001", "0x7F.0x0.0x0.0x1", "0x7f.1", "017700000001", "0177.0.0.1",
		"0177.0.0.01", "127.0.0.1.", "00000127.0.0.1", "127.0.0.01", "0", "0x0", "127.0.0.0x1", "4294967297",
		"3232235521", "0xA9FEA9FE", "example.1", "a.0x7f",
		"[::ffff:127.0.0.1]", "[::FFFF:7F00:0001]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::1%25lo]", "[fe80::1%25eth0]",
		"[::1%25]", "[127.0.0.1]", "[localhost]", "[::1", "::1", "[0000:0000:0000:0000:0000:0000:0000:0001]",
		"localhost", "LOCALHOST", "localhost.", "a.localhost", "%31%32%37.0.0.1", "127%2e0%2e0%2e1", "127。0。0。1",
		"①②⑦.⓪.⓪.①", "127.0.0.1\t", " 127.0.0.1", "127.0.0.1\r\nX: y", "example.com\x00.127.0.0.1", "", ".", "..",
		"-a.example", "a..example", "example.com@127.0.0.1", "127.0.0.1@example.com", "u:p@example.com",
		"example.com\\@127.0.0.1", "127.0.0.1#@example.com", "127.0.0.1?@example.com", "127.0.0.1/@example.com",
		"example.com#", "example.com/#f", "example.com:", "example.com:0", "example.com:22", "example.com:065536",
		"example.com:444", "example.com:65979", "example.com:443:443", "127.0.0.1:443",
	} {
		if err := send.CheckURL(cfg, "https://"+host); err == nil {
			t.Errorf("registration accepts https://%s", host)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if err := send.Dial(ctx, cfg, resolver, net.JoinHostPort(strings.Trim(host, "[]"), "443")); err == nil {
			t.Errorf("dialled %q", host)
		}
		cancel()
	}
	for _, raw := range []string{
		"", "https:", "https:/example.com", "https:example.com", "//example.com", "example.com", "http://example.com",
		"ftp://example.com", "file:///etc/passwd", "gopher://example.com", "javascript:alert(1)", "https://" + strings.Repeat("a", 2048),
	} {
		if send.CheckURL(cfg, raw) == nil {
			t.Errorf("registration accepts %.60q", raw)
		}
	}
	for _, raw := range []string{
		"https://example.com", "https://EXAMPLE.com./x?y=z", "https://a-b_c.example.com:8443/", "https://xn--bcher-kva.example/",
		"https://8.8.8.8/", "https://[2606:4700:4700::1111]:8443/hook", "HTTPS://example.com", "https://1.example", "https://localhost.example",
	} {
		if err := send.CheckURL(cfg, raw); err != nil {
			t.Errorf("registration refuses %s: %v", raw, err)
		}
	}
}

func TestAllowedNetworks(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	cfg := send.DefaultConfig()
	cfg.AllowPorts = []int{port}
	dial := func(address string) error {
		return send.Dial(t.Context(), cfg, nil, net.JoinHostPort(address, strconv.Itoa(port)))
	}
	for _, c := range []struct {
		networks, address string
		want              bool
	}{
		{"", "127.0.0.1", false},
		{"127.0.0.0/8", "127.0.0.1", true},
		{"127.0.0.0/8", "::ffff:127.0.0.1", true},
		{"::ffff:127.0.0.0/104", "127.0.0.1", true},
		{"10.0.0.0/8", "127.0.0.1", false},
		{"127.0.0.2/32", "127.0.0.1", false},
	} {
		cfg.AllowNetworks = nil
		if c.networks != "" {
			cfg.AllowNetworks = []netip.Prefix{netip.MustParsePrefix(c.networks)}
		}
		if err := dial(c.address); (err == nil) != c.want {
			t.Errorf("with %q, dialling %s = %v", c.networks, c.address, err)
		}
	}
	cfg.AllowPorts = []int{port + 1}
	if err := dial("127.0.0.1"); !errors.Is(err, send.ErrRefused) {
		t.Errorf("another port: %v; want it refused", err)
	}
	cfg = send.DefaultConfig()
	cfg.AllowNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	if err := send.CheckURL(cfg, "https://[::ffff:127.0.0.1]/"); err != nil {
		t.Errorf("an allowed address in another form: %v", err)
	}
	// Where IPv4 is only reached by translation, what is translated is checked too.
	cfg = send.DefaultConfig()
	cfg.AllowNetworks = []netip.Prefix{netip.MustParsePrefix("64:ff9b::/96")}
	if err := send.CheckURL(cfg, "https://[64:ff9b::8.8.8.8]/"); err != nil {
		t.Errorf("a public address behind an allowed NAT64: %v", err)
	}
	if send.CheckURL(cfg, "https://[64:ff9b::7f00:1]/") == nil {
		t.Error("a loopback address behind an allowed NAT64 is accepted")
	}
}
