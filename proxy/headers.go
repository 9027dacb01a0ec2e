package proxy

import (
	"net/http"
	"net/netip"
	"net/textproto"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// hopByHop are the fields that end at each hop (RFC 9110, 7.6.1), with those that
// Connection used to name without anybody saying so. They are dropped whether
// Connection names them or not: net/http takes Connection away before it can be read.
var hopByHop = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Proxy-Authenticate": true,
	"Proxy-Authorization": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Http2-Settings": true,
}

// ownFields are the fields that this proxy writes itself.
var ownFields = map[string]bool{
	"Host": true, "Content-Length": true, "Expect": true, "Pollbridge-Webhook": true,
	"X-Forwarded-For": true, "X-Forwarded-Proto": true, "X-Forwarded-Host": true, "Forwarded": true,
}

const via = "1.1 pollbridge"

// forwardedHeader is the header that the upstream gets: the end-to-end fields of the
// request, in their order for each name, and what a proxy has to add.
func (s *Server) forwardedHeader(c *fiber.Ctx) http.Header {
	request := c.Request()
	named := connectionOptions(request.Header.PeekAll("Connection"))
	header := make(http.Header, 16)
	for name, value := range request.Header.AllInOrder() {
		canonical := textproto.CanonicalMIMEHeaderKey(string(name))
		if hopByHop[canonical] || ownFields[canonical] || named[canonical] {
			continue
		}
		header[canonical] = append(header[canonical], string(value))
	}
	if _, given := header["User-Agent"]; !given {
		header["User-Agent"] = []string{""} // else net/http sends its own
	}
	header["Via"] = append(header["Via"], via)
	header[headerRequestID] = []string{requestID(c)}
	s.addForwarded(c, header)
	return header
}

// addForwarded tells the upstream whom the request came from. What a client says of
// itself is believed only if the client is a trusted proxy.
func (s *Server) addForwarded(c *fiber.Ctx, header http.Header) {
	request := &c.Request().Header
	peer := peerAddress(c)
	chain, proto, host := peer.String(), scheme(c), string(request.Host())
	if s.trusts(peer) {
		if before := joined(request.PeekAll("X-Forwarded-For")); before != "" {
			chain = before + ", " + chain
		}
		if given := request.Peek("X-Forwarded-Proto"); len(given) > 0 {
			proto = string(given)
		}
		if given := request.Peek("X-Forwarded-Host"); len(given) > 0 {
			host = string(given)
		}
		for _, given := range request.PeekAll("Forwarded") {
			header["Forwarded"] = append(header["Forwarded"], string(given))
		}
	}
	header["X-Forwarded-For"] = []string{chain}
	header["X-Forwarded-Proto"] = []string{proto}
	header["X-Forwarded-Host"] = []string{host}
}

func (s *Server) trusts(address netip.Addr) bool {
	for _, network := range s.trusted {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

// clientAddress is the address of the client as far as it can be believed: the last
// one in the chain that is not a trusted proxy.
func (s *Server) clientAddress(c *fiber.Ctx) string {
	address := peerAddress(c)
	chain := strings.Split(joined(c.Request().Header.PeekAll("X-Forwarded-For")), ",")
	for i := len(chain) - 1; i >= 0 && s.trusts(address); i-- {
		before, err := netip.ParseAddr(strings.TrimSpace(chain[i]))
		if err != nil {
			break
		}
		address = before.Unmap()
	}
	return address.String()
}

func peerAddress(c *fiber.Ctx) netip.Addr {
	address, _ := netip.AddrFromSlice(c.Context().RemoteIP())
	return address.Unmap()
}

func scheme(c *fiber.Ctx) string {
	if c.Context().IsTLS() {
		return "https"
	}
	return "http"
}

// copyBack writes the end-to-end fields of an answer.
func copyBack(c *fiber.Ctx, from http.Header) {
	to := &c.Response().Header
	to.SetNoDefaultContentType(true)
	named := map[string]bool{}
	for _, value := range from["Connection"] {
		for name := range connectionOptions([][]byte{[]byte(value)}) {
			named[name] = true
		}
	}
	for name, values := range from {
		if hopByHop[name] || named[name] || name == "Content-Length" || name == headerRequestID {
			continue
		}
		for _, value := range values {
			to.Add(name, value)
		}
	}
	to.Add("Via", via)
}

// connectionOptions are the names of fields that Connection lists.
func connectionOptions(values [][]byte) map[string]bool {
	var named map[string]bool
	for _, value := range values {
		for option := range strings.SplitSeq(string(value), ",") {
			if named == nil {
				named = map[string]bool{}
			}
			named[textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(option))] = true
		}
	}
	return named
}

func joined(values [][]byte) string {
	var texts []string
	for _, value := range values {
		texts = append(texts, string(value))
	}
	return strings.Join(texts, ", ")
}
