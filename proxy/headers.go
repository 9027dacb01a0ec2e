package proxy

import (
	"bytes"
	"iter"
	"net/netip"
	"strings"
	"sync"

	"pollbridge/internal/hop"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// isOwn reports whether this proxy writes the field with this canonical name itself.
func isOwn(canonical []byte) bool {
	switch string(canonical) {
	case "Host", headerRequestID, "Content-Length", "Expect", "Pollbridge-Webhook",
		"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded":
		return true
	}
	return false
}

// What is written into the header of each request.
var (
	viaKey, viaValue          = []byte("Via"), []byte("1.1 pollbridge")
	forKey, protoKey, hostKey = []byte("X-Forwarded-For"), []byte("X-Forwarded-Proto"), []byte("X-Forwarded-Host")
	plainHTTP, secureHTTP     = []byte("http"), []byte("https")
)

// forwarded gives the header lines that the upstream gets: the end-to-end fields of
// the request in their order, and what a proxy has to add. The slices are valid until
// the next line only; names may be in any case.
func (s *Server) forwarded(c *fiber.Ctx) iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		header := &c.Request().Header
		endsHere := hop.Named(header.PeekAll("Connection"))
		peer := peerOf(c)
		trusted := s.trusts(peer.address)
		var buffer [64]byte
		for name, value := range header.AllInOrder() {
			canonical := appendCanonical(buffer[:0], name)
			if endsHere.Has(canonical) || isOwn(canonical) || !trusted && saysWhoAsks(canonical) {
				continue
			}
			if !yield(name, value) {
				return
			}
		}
		_ = yield(viaKey, viaValue) &&
			yield(requestIDKey, c.Response().Header.PeekBytes(requestIDKey)) &&
			s.addForwarded(c, peer, trusted, yield)
	}
}

// saysWhoAsks reports whether a field is one of those that proxies write about the
// client: from anybody else they are a lie, or might be.
func saysWhoAsks(canonical []byte) bool {
	return bytes.HasPrefix(canonical, []byte("X-Forwarded-")) || string(canonical) == "X-Real-Ip"
}

// addForwarded tells the upstream whom the request came from. What a client says of
// itself is believed only if the client is a trusted proxy.
func (s *Server) addForwarded(c *fiber.Ctx, peer peer, trusted bool, yield func(name, value []byte) bool) bool {
	request := &c.Request().Header
	chain, proto, host := peer.bytes, scheme(c), request.Host()
	if trusted {
		if before := request.PeekAll("X-Forwarded-For"); len(before) > 0 {
			chain = append([]byte(joined(before)+", "), chain...)
		}
		if given := request.Peek("X-Forwarded-Proto"); len(given) > 0 {
			proto = given
		}
		if given := request.Peek("X-Forwarded-Host"); len(given) > 0 {
			host = given
		}
		for _, given := range request.PeekAll("Forwarded") {
			if !yield([]byte("Forwarded"), given) {
				return false
			}
		}
	}
	return yield(forKey, chain) && yield(protoKey, proto) && yield(hostKey, host)
}

// appendCanonical appends a field name as net/http would write it.
func appendCanonical(dst, name []byte) []byte {
	upper := true
	for _, c := range name {
		switch {
		case upper && 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		case !upper && 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		dst = append(dst, c)
		upper = c == '-'
	}
	return dst
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
	peer := peerOf(c)
	address := peer.address
	if !s.trusts(address) {
		return peer.text
	}
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

func scheme(c *fiber.Ctx) []byte {
	if c.Context().IsTLS() {
		return secureHTTP
	}
	return plainHTTP
}

// copyBack makes the fields of the response the end-to-end ones of an answer, and what a
// proxy has to add.
func (a *answer) copyBack(to *fasthttp.ResponseHeader) {
	to.SetNoDefaultContentType(true)
	if a.header != nil {
		a.copyFields(to)
	} else {
		keepEndToEnd(to)
	}
	to.AddBytesKV(viaKey, viaValue)
}

// copyFields copies the end-to-end fields of an answer.
func (a *answer) copyFields(to *fasthttp.ResponseHeader) {
	var connection [][]byte
	for _, value := range a.header[fasthttp.HeaderConnection] {
		connection = append(connection, []byte(value))
	}
	endsHere := hop.Named(connection)
	for name, values := range a.header {
		if endsHere.Has([]byte(name)) || name == fasthttp.HeaderContentLength || name == headerRequestID {
			continue
		}
		for _, value := range values {
			to.Add(name, value)
		}
	}
}

// keepEndToEnd takes away what was between the upstream and here of an answer that was
// read into header.
func keepEndToEnd(header *fasthttp.ResponseHeader) {
	endsHere := hop.Named(header.PeekAll(fasthttp.HeaderConnection))
	for name := range header.All() {
		if endsHere.Has(name) || string(name) == headerRequestID {
			copyEndToEnd(header, endsHere)
			break
		}
	}
	// The first line is this server's own, with the usual words.
	header.SetProtocol(nil)
	header.SetStatusMessage(nil)
}

// copyEndToEnd is for answers with fields that end here. They are not deleted, as that
// would change the order of others.
func copyEndToEnd(header *fasthttp.ResponseHeader, endsHere hop.Fields) {
	all := headers.Get().(*fasthttp.ResponseHeader)
	defer headers.Put(all)
	header.CopyTo(all)
	header.Reset()
	header.SetNoDefaultContentType(true)
	header.SetStatusCode(all.StatusCode())
	for name, value := range all.All() {
		if !endsHere.Has(name) && string(name) != headerRequestID {
			header.AddBytesKV(name, value)
		}
	}
}

var headers = sync.Pool{New: func() any { return new(fasthttp.ResponseHeader) }}

func joined(values [][]byte) string {
	var texts []string
	for _, value := range values {
		texts = append(texts, string(value))
	}
	return strings.Join(texts, ", ")
}
