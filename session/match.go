package session

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Table finds the endpoint that a request line asks for. It is immutable, so any
// number of goroutines may use it.
type Table struct {
	endpoints []*Endpoint
	routes    []route
	fixed     map[string]bool  // the segments of all paths that are no token
	starts    map[string]Start // by path
}

type route struct {
	endpoint      *Endpoint
	locale        uint8
	method        string
	before, after string
}

// Match is what a request line says. Token is a part of the path that was given
// to [Table.Match] and lives as long.
type Match struct {
	Endpoint *Endpoint
	Locale   int
	Token    []byte
}

const maxTokenLength = 128

// NewTable makes a table of endpoints, which it copies. Names have to be unique,
// and no two endpoints may stand at the same method and path.
//
// Query fields that are ignored, at endpoints that take the credential from the query,
// are neither part of a variant nor sent upstream, such as the one by which a client
// makes each of its requests another one. A credential's field is never ignored.
func NewTable(endpoints []Endpoint, ignored ...string) (*Table, error) {
	t := &Table{fixed: map[string]bool{}, starts: map[string]Start{}}
	var errs []error
	names := map[string]bool{}
	paths := map[string]string{}
	for i, e := range endpoints {
		e.index = i
		if e.Credential.In == InQuery {
			e.ignored = slices.DeleteFunc(slices.Clone(ignored), func(name string) bool { return readsAs([]byte(name), e.Credential.Name) })
		}
		if names[e.Name] {
			errs = append(errs, fmt.Errorf("endpoint %q is defined twice: names must be unique", e.Name))
		}
		names[e.Name] = true
		t.endpoints = append(t.endpoints, &e)
		for l, locale := range e.Locales {
			r := route{&e, uint8(l), e.Method, locale.Prefix + e.before, e.after}
			path := r.method + " " + r.before + tokenPlaceholder + r.after
			if other, taken := paths[path]; taken {
				errs = append(errs, fmt.Errorf("endpoints %q and %q both stand at %s", other, e.Name, path))
			}
			paths[path] = e.Name
			t.routes = append(t.routes, r)
			for segment := range strings.SplitSeq(r.before+"/"+r.after, "/") {
				t.fixed[segment] = true
			}
		}
		t.addStarts(&e)
	}
	return t, errors.Join(errs...)
}

// Endpoints returns the endpoints in their order. The slice is the caller's, the
// endpoints are shared.
func (t *Table) Endpoints() []*Endpoint {
	return slices.Clone(t.endpoints)
}

// Endpoint returns the endpoint of that name.
func (t *Table) Endpoint(name string) (*Endpoint, bool) {
	i := slices.IndexFunc(t.endpoints, func(e *Endpoint) bool { return e.Name == name })
	if i < 0 {
		return nil, false
	}
	return t.endpoints[i], true
}

// Names reports whether a segment is a fixed part of an endpoint's path, so that it
// is no token. It allocates nothing.
func (t *Table) Names(segment []byte) bool { return t.fixed[string(segment)] }

// Match compares the raw bytes of a path, before any decoding: "%73tatus" or
// "//status" may well reach the same session at the upstream, but only one
// spelling is a status request, so that no two readings of a path can differ.
// It allocates nothing.
func (t *Table) Match(method, path []byte) (Match, bool) {
	for i := range t.routes {
		r := &t.routes[i]
		if len(path) <= len(r.before)+len(r.after) || string(path[:len(r.before)]) != r.before ||
			string(path[len(path)-len(r.after):]) != r.after || string(method) != r.method {
			continue
		}
		if token := path[len(r.before) : len(path)-len(r.after)]; validToken(token) {
			return Match{r.endpoint, int(r.locale), token}, true
		}
	}
	return Match{}, false
}

// validToken allows what real tokens are made of and nothing that anybody could
// decode, normalise or cut: no dots, slashes, percent signs or control bytes.
func validToken(token []byte) bool {
	if len(token) == 0 || len(token) > maxTokenLength {
		return false
	}
	for _, c := range token {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}
