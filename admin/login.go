package admin

import (
	"io"
	"net/http"
	"net/url"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// Browsers log in: the page has no key after that, only a cookie that it cannot read.

const (
	cookieName = "pollbridge"
	// secureCookieName is a name that browsers take from this host over https only.
	secureCookieName = "__Host-pollbridge"
	// mostLogin bounds the body of a login, in bytes.
	mostLogin = 8 << 10
)

// registerLogin lets browsers log in and out.
func (a *access) registerLogin(app *fiber.App) {
	app.Post("/login", identify, harden, a.login)
	app.Post("/logout", identify, harden, a.logout)
}

// place returns the cookie for where a browser is, or why that is no place for one.
func (a *access) place(c *fiber.Ctx) (cookie string, err error) {
	switch {
	case a.secure(c):
		return secureCookieName, nil
	case fromLoopback(c):
		return cookieName, nil
	}
	return "", newProblem(http.StatusForbidden, "the key would be sent in clear: log in over https (admin.tls, or a proxy of trusted_proxies that sets X-Forwarded-Proto), or on the machine of the bridge")
}

func (a *access) login(c *fiber.Ctx) error {
	cookie, err := a.place(c)
	if err != nil {
		return err
	}
	if !fromOwnPage(c) {
		return errNotOwnPage
	}
	var body struct {
		Key string `json:"key"`
	}
	var text []byte
	if stream := c.Context().RequestBodyStream(); stream != nil {
		text, err = io.ReadAll(io.LimitReader(stream, mostLogin))
	}
	if err != nil || jsonv2.Unmarshal(text, &body) != nil {
		return newProblem(http.StatusBadRequest, `want {"key": "…"}`)
	}
	key, err := a.check(c, []byte(body.Key))
	if err == errNoKey {
		return newProblem(http.StatusForbidden, "this is not one of the configured keys")
	}
	if err != nil {
		return err
	}
	c.Cookie(a.cookie(cookie, a.logins.begin(c.UserContext(), key), int(LoginTime.Seconds())))
	return c.SendStatus(http.StatusNoContent)
}

func (a *access) cookie(name, value string, seconds int) *fiber.Cookie {
	return &fiber.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: seconds, Secure: name == secureCookieName, HTTPOnly: true, SameSite: fiber.CookieSameSiteStrictMode,
	}
}

func (a *access) logout(c *fiber.Ctx) error {
	cookie, err := a.place(c)
	if err != nil {
		return err
	}
	if !fromOwnPage(c) {
		return errNotOwnPage
	}
	if err := a.logins.end(c.UserContext(), c.Cookies(cookie)); err != nil {
		return newProblem(http.StatusServiceUnavailable, "the store cannot be used: this browser may still be logged in at another replica")
	}
	gone := a.cookie(cookie, "", 0)
	gone.Expires = fasthttp.CookieExpireDelete
	c.Cookie(gone)
	return c.SendStatus(http.StatusNoContent)
}

// loggedIn returns nil if a request has the cookie of a login, and comes from our own page
// where it may change something.
func (a *access) loggedIn(c *fiber.Ctx) error {
	if a.logins == nil {
		return errNoKey
	}
	cookie, err := a.place(c)
	secret := ""
	if err == nil {
		secret = c.Cookies(cookie)
	}
	if secret == "" || !a.logins.has(c.UserContext(), secret) {
		return errNoKey
	}
	if !fromOwnPage(c) {
		return errNotOwnPage
	}
	c.Locals(loginKey{}, secret)
	return nil
}

// loginKey is where the secret of the login of a request is.
type loginKey struct{}

var errNotOwnPage = newProblem(http.StatusForbidden, "a browser may request this only from the dashboard's own page")

// fromOwnPage reports whether a browser says that the page which asks is of this server. A
// cookie comes with requests of pages at other ports of the same host, too.
func fromOwnPage(c *fiber.Ctx) bool {
	changes := c.Method() != http.MethodGet && c.Method() != http.MethodHead
	switch c.Get("Sec-Fetch-Site") {
	case "same-origin":
		return true
	case "none": // somebody has typed the address
		return !changes
	case "":
	default:
		return false
	}
	// An older browser, which says where changes come from.
	origin := c.Get(fiber.HeaderOrigin)
	if origin == "" {
		return !changes
	}
	from, err := url.Parse(origin)
	return err == nil && from.Host == string(c.Request().Host())
}
