package send

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"code.dny.dev/ssrf"
)

// errRefused means that an address is not dialled because webhooks must not go there.
var errRefused = errors.New("webhooks must not be sent to this address")

// guard decides which addresses webhooks may reach. What is public is what ssrf lets
// through, less what it does not know of.
type guard struct {
	public  *ssrf.Guardian
	allowed []netip.Prefix
	ports   []int
}

// Addresses in public ranges that are not public.
var (
	azureWireServer = netip.MustParsePrefix("168.63.129.16/32") // metadata of Azure, from inside
	nat64           = netip.MustParsePrefix("64:ff9b::/96")
	localNAT64      = netip.MustParsePrefix("64:ff9b:1::/48")
	sixToFour       = netip.MustParsePrefix("2002::/16")
	sixBone         = netip.MustParsePrefix("3ffe::/16") // given back, so nobody's
)

func newGuard(cfg Config) *guard {
	g := &guard{
		public: ssrf.New(ssrf.WithAnyPort(), ssrf.WithAnyNetwork(),
			ssrf.WithDeniedV4Prefixes(azureWireServer), ssrf.WithDeniedV6Prefixes(sixBone)),
		ports: cfg.AllowPorts,
	}
	for _, network := range cfg.AllowNetworks {
		if network.Addr().Is4In6() && network.Bits() >= 96 {
			network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-96)
		}
		g.allowed = append(g.allowed, network.Masked())
	}
	return g
}

// control is what net.Dialer calls with each address before it connects, when names
// have become addresses: what a name meant a moment ago does not matter.
func (g *guard) control(network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: %s is not TCP", errRefused, network)
	}
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: it cannot be parsed", errRefused)
	}
	if err := g.port(int(target.Port())); err != nil {
		return err
	}
	return g.address(target.Addr())
}

func (g *guard) port(port int) error {
	if slices.Contains(g.ports, port) {
		return nil
	}
	return fmt.Errorf("%w: port %d is not in webhook.allow_ports", errRefused, port)
}

// address returns an error unless webhooks may go to addr.
func (g *guard) address(addr netip.Addr) error {
	if addr.Zone() != "" {
		return fmt.Errorf("%w: it has a zone", errRefused)
	}
	addr = addr.Unmap()
	if v4, is := embedded(addr); is {
		// Whatever translates it goes to the address inside, so that must be fit too:
		// allowing 64:ff9b::/96 in a network without IPv4 does not open 64:ff9b::7f00:1.
		if err := g.address(v4); err != nil {
			return err
		}
	}
	if g.allows(addr) {
		return nil
	}
	if g.public.SafeAddr(addr) != nil || addr.IsMulticast() || addr.IsUnspecified() {
		return fmt.Errorf("%w: it is not public and not in webhook.allow_networks", errRefused)
	}
	return nil
}

func (g *guard) allows(addr netip.Addr) bool {
	return slices.ContainsFunc(g.allowed, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// embedded returns the IPv4 address to which packets for addr are taken in the end,
// as far as addr alone tells.
func embedded(addr netip.Addr) (v4 netip.Addr, is bool) {
	if !addr.Is6() {
		return netip.Addr{}, false
	}
	b := addr.As16()
	switch {
	case nat64.Contains(addr), localNAT64.Contains(addr), isISATAP(b):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case sixToFour.Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}

// isISATAP: RFC 5214, behind whatever prefix.
func isISATAP(b [16]byte) bool {
	return b[8]&^0x02 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}
