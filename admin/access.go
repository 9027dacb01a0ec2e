package admin

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"math"
	"net/http"
	"strconv"
	"strings"

	"pollbridge/internal/peer"

	"github.com/gofiber/fiber/v2"
)

// access lets requests pass that have a key, or the cookie of somebody who has logged in
// with one.
type access struct {
	keys    []key
	wrong   wrongKeys
	proxies peer.Proxies
	tls     bool    // the listener speaks https
	logins  *logins // nil: nobody can log in
}

func newAccess(cfg Config, o Options) *access {
	a := &access{proxies: o.Proxies, tls: cfg.TLS.CertFile != ""}
	for _, text := range cfg.Keys {
		a.keys = append(a.keys, key(sha256.Sum256([]byte(text))))
	}
	if o.Logins != nil {
		a.logins = newLogins(o.Logins, a.keys, o.Log)
	}
	return a
}

func (a *access) orLoopback(c *fiber.Ctx) error {
	if fromLoopback(c) {
		return c.Next()
	}
	return a.always(c)
}

func (a *access) always(c *fiber.Ctx) error {
	if field := c.Request().Header.Peek(fiber.HeaderAuthorization); len(field) > 0 {
		scheme, token, _ := bytes.Cut(field, []byte(" "))
		if !bytes.EqualFold(scheme, []byte("Bearer")) {
			return errNoKey
		}
		if _, err := a.check(c, token); err != nil {
			return err
		}
		return c.Next()
	}
	if err := a.loggedIn(c); err != nil {
		return err
	}
	return c.Next()
}

var errNoKey = newProblem(http.StatusUnauthorized, "send Authorization: Bearer KEY with one of the configured keys")

// check returns the key that a token is. After too many wrong ones from one address, the
// next are not even looked at for a while.
func (a *access) check(c *fiber.Ctx, token []byte) (key, error) {
	from := a.proxies.Client(c)
	if wait := a.wrong.wait(from); wait > 0 {
		c.Set(fiber.HeaderRetryAfter, strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		return key{}, newProblem(http.StatusTooManyRequests, "too many wrong keys came from this address: try again later")
	}
	found, right := keyOf(a.keys, token)
	if !right {
		a.wrong.add(from)
		return key{}, errNoKey
	}
	return found, nil
}

// secure reports whether nobody between the browser and here can read along.
func (a *access) secure(c *fiber.Ctx) bool {
	return a.tls || a.proxies.Trust(peer.Of(c)) && strings.EqualFold(c.Get(fiber.HeaderXForwardedProto), "https")
}

func fromLoopback(c *fiber.Ctx) bool { return c.Context().RemoteIP().IsLoopback() && !forwarded(c) }

// forwarded reports whether a proxy on this machine sends somebody else's request.
func forwarded(c *fiber.Ctx) bool {
	for name := range c.Request().Header.All() {
		switch name := strings.ToLower(string(name)); {
		case strings.HasPrefix(name, "x-forwarded-"), name == "forwarded", name == "via", name == "x-real-ip":
			return true
		}
	}
	return false
}

// key is the hash of a key.
type key [sha256.Size]byte

// keyOf takes the same time whatever the token has in common with a key.
func keyOf(keys []key, token []byte) (found key, right bool) {
	sum := sha256.Sum256(token)
	for _, k := range keys {
		if subtle.ConstantTimeCompare(sum[:], k[:]) == 1 {
			found, right = k, true
		}
	}
	return found, right
}
