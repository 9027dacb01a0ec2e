// Package peer tells where a request comes from, as far as that can be believed.
package peer

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// Of is the address of the other side of the connection that a request came on.
func Of(c *fiber.Ctx) netip.Addr {
	address, _ := netip.AddrFromSlice(c.Context().RemoteIP())
	return address.Unmap()
}

// Proxies are the networks whose X-Forwarded-* fields are believed.
type Proxies []netip.Prefix

// Trust reports whether an address is that of one of them.
func (p Proxies) Trust(address netip.Addr) bool {
	return slices.ContainsFunc(p, func(network netip.Prefix) bool { return network.Contains(address) })
}

// Client is the address of the client: the last one in the chain that is not one of them.
func (p Proxies) Client(c *fiber.Ctx) netip.Addr {
	address := Of(c)
	chain := strings.Split(string(bytes.Join(c.Request().Header.PeekAll(fiber.HeaderXForwardedFor), []byte(","))), ",")
	for i := len(chain) - 1; i >= 0 && p.Trust(address); i-- {
		before, err := netip.ParseAddr(strings.TrimSpace(chain[i]))
		if err != nil {
			break
		}
		address = before.Unmap()
	}
	return address
}
