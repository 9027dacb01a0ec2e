package proxy

import (
	"bytes"
	"cmp"
	"net/http"
	"net/textproto"
	"strings"

	"pollbridge/internal/hop"
	"pollbridge/internal/peer"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// isOwn reports whether this proxy writes the field with this canonical name itself.
func isOwn(name string) bool {
	switch name {
	case "Host", headerRequestID, "Content-Length", "Expect", headerWebhook, "Forwarded":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded-")
}

// saysWhoAsks reports whether a field is one that proxies write about the client: from
// anybody else it is a lie, or might be.
func saysWhoAsks(name string) bool {
	return strings.HasPrefix(name, "X-Forwarded-") || name == "X-Real-Ip"
}

// readsAsOther reports whether a name is one that servers which take "_" for "-", as
// those of CGI do, would read as that of a field that ends here or says who asks.
func readsAsOther(name string) bool {
	if !strings.Contains(name, "_") {
		return false
	}
	other := textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
	return isOwn(other) || saysWhoAsks(other) || other == "Via" || hop.Fields{}.Has([]byte(other))
}

const via = "1.1 pollbridge"

// forwarded returns the header that the upstream gets: the end-to-end fields of the
// request, and what a proxy has to add.
func (s *Server) forwarded(c *fiber.Ctx, to target) http.Header {
	request := &c.Request().Header
	endsHere := hop.Named(request.PeekAll("Connection"))
	trusted := s.trusted.Trust(peer.Of(c))
	header := make(http.Header, 16)
	for key, value := range request.AllInOrder() {
		name := textproto.CanonicalMIMEHeaderKey(string(key))
		switch {
		case endsHere.Has([]byte(name)), readsAsOther(name):
		case isOwn(name) && !(trusted && saysWhoAsks(name)), !trusted && saysWhoAsks(name):
		default:
			header[name] = append(header[name], string(value))
		}
	}
	if _, given := header["User-Agent"]; !given {
		header["User-Agent"] = []string{""} // else net/http sends its own
	}
	header.Add("Via", via)
	header[headerRequestID] = []string{string(c.Response().Header.PeekBytes(requestIDKey))}
	s.addForwarded(header, c, to, trusted)
	return header
}

// addForwarded tells the upstream whom the request came from. What a client says of
// itself is believed only if the client is a trusted proxy.
func (s *Server) addForwarded(header http.Header, c *fiber.Ctx, to target, trusted bool) {
	request := &c.Request().Header
	chain, proto, host := peer.Of(c).String(), scheme(c), cmp.Or(to.authority, string(request.Host()))
	if trusted {
		if before := request.PeekAll("X-Forwarded-For"); len(before) > 0 {
			chain = joined(before) + ", " + chain
		}
		if given := request.Peek("X-Forwarded-Proto"); len(given) > 0 {
			proto = string(given)
		}
		if given := request.Peek("X-Forwarded-Host"); len(given) > 0 {
			host = string(given)
		}
		for _, given := range request.PeekAll("Forwarded") {
			header.Add("Forwarded", string(given))
		}
	}
	header["X-Forwarded-For"] = []string{chain}
	header["X-Forwarded-Proto"] = []string{proto}
	if host != "" { // which HTTP/1.0 need not name
		header["X-Forwarded-Host"] = []string{host}
	}
}

func scheme(c *fiber.Ctx) string {
	if c.Context().IsTLS() {
		return "https"
	}
	return "http"
}

// copyBack copies the end-to-end fields of an answer, and adds what a proxy has to.
func copyBack(to *fasthttp.ResponseHeader, header http.Header) {
	to.SetNoDefaultContentType(true)
	endsHere := hop.Named(header[fasthttp.HeaderConnection])
	for name, values := range header {
		if endsHere.Has([]byte(name)) || name == fasthttp.HeaderContentLength || name == headerRequestID {
			continue
		}
		for _, value := range values {
			to.Add(name, value)
		}
	}
	to.Add("Via", via)
}

func joined(values [][]byte) string { return string(bytes.Join(values, []byte(", "))) }
