package webhook

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"pollbridge/event"
	"pollbridge/store"
	"pollbridge/webhook/signature"
)

const (
	mostDescription = 500
	mostHeaders     = 20
	mostHeaderValue = 4096
)

// checker knows what the fields of subscriptions may be.
type checker struct {
	urls interface {
		CheckURL(raw string) (*url.URL, error)
	}
	endpoints []string
}

// all returns a *FieldError for each field that cannot be used, joined.
func (c *checker) all(sub *subscription) error {
	var wrong error
	if _, err := c.urls.CheckURL(sub.URL); err != nil {
		wrong = &FieldError{"url", err.Error()}
	}
	return errors.Join(wrong, c.others(sub))
}

// others checks all but the URL.
func (c *checker) others(sub *subscription) error {
	wrong := errors.Join(oneOf("events", sub.Events, event.Types()), oneOf("endpoints", sub.Endpoints, c.endpoints))
	if sub.Session != "" && (!strings.HasPrefix(sub.Session, "ses_") || !store.IsID(sub.Session)) {
		wrong = errors.Join(wrong, &FieldError{"session", "must be the id of a session, ses_…"})
	}
	if sub.Signature != SignatureV1 && sub.Signature != SignatureV1a {
		wrong = errors.Join(wrong, &FieldError{"signature", "must be v1 or v1a"})
	}
	if !signature.IsSecret(sub.Secret) {
		wrong = errors.Join(wrong, &FieldError{"secret", "must be whsec_ and the base64 of 24 to 64 random bytes (the value is not shown)"})
	}
	if len(sub.Description) > mostDescription {
		wrong = errors.Join(wrong, &FieldError{"description", fmt.Sprintf("must be at most %d bytes", mostDescription)})
	}
	return errors.Join(wrong, checkHeaders(sub.Headers))
}

func oneOf(field string, values, accepted []string) (wrong error) {
	for i, value := range values {
		name := fmt.Sprintf("%s[%d]", field, i)
		switch {
		case !slices.Contains(accepted, value):
			wrong = errors.Join(wrong, &FieldError{name, "must be one of " + strings.Join(accepted, ", ")})
		case slices.Contains(values[:i], value):
			wrong = errors.Join(wrong, &FieldError{name, "is given twice"})
		}
	}
	return wrong
}

// What a receiver relies on, and what belongs to the connection, is not for
// subscriptions to set.
var reservedHeaders = []string{
	"host", "content-length", "content-type", "content-encoding", "user-agent", "connection", "keep-alive",
	"proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding",
	"upgrade", "expect", "http2-settings", "accept-encoding",
}

func checkHeaders(headers map[string]string) (wrong error) {
	if len(headers) > mostHeaders {
		wrong = &FieldError{"headers", fmt.Sprintf("must be at most %d fields", mostHeaders)}
	}
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		field, problem := "headers."+name, ""
		lower := strings.ToLower(name)
		switch value := headers[name]; {
		case !httpguts.ValidHeaderFieldName(name):
			field, problem = "headers", "has an invalid header name"
		case slices.Contains(reservedHeaders, lower), strings.HasPrefix(lower, "webhook-"):
			problem = "is reserved"
		case seen[lower]:
			problem = "is given twice"
		case value == masked:
			problem = "must be the value: " + masked + " stands for one that is already stored"
		case !httpguts.ValidHeaderFieldValue(value), len(value) > mostHeaderValue:
			problem = fmt.Sprintf("must be visible characters, at most %d bytes (the value is not shown)", mostHeaderValue)
		}
		if problem != "" {
			wrong = errors.Join(wrong, &FieldError{field, problem})
		}
		seen[lower] = true
	}
	return wrong
}
