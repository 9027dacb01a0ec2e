package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// Client calls a management API. It is safe for concurrent use. Create it with New.
//
// Each method is one call: nothing is tried again. A call that the server refuses returns
// a [*Problem]; any other error means that there was no answer, or none of this API, and
// what was asked for may have happened.
type Client struct {
	server *url.URL
	key    string
	http   *http.Client
}

// New returns a client of the API at server, such as http://127.0.0.1:8090, that shows
// key. A nil httpClient means [http.DefaultClient]. If it has a Timeout, that cuts off
// what waits for events, too.
func New(server, key string, httpClient *http.Client) (*Client, error) {
	address, err := url.Parse(server)
	if err != nil || address.Scheme != "http" && address.Scheme != "https" || address.Host == "" || address.User != nil {
		return nil, errors.New("api: the server must be a URL such as http://127.0.0.1:8090") // it may hold a secret
	}
	if httpClient == nil {
		httpClient = http.DefaultClient
	}
	return &Client{server: &url.URL{Scheme: address.Scheme, Host: address.Host, Path: address.Path}, key: key, http: httpClient}, nil
}

// request is one call.
type request struct {
	method string
	path   []string // below /v1
	query  url.Values
	header http.Header
	body   any // nil: none
}

// call makes a call whose answer is a T.
func call[T any](ctx context.Context, c *Client, r request) (answer T, status int, err error) {
	response, err := c.do(ctx, r)
	if err != nil {
		return answer, 0, err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return answer, 0, fmt.Errorf("api: reading the answer: %w", err)
	}
	return answer, response.StatusCode, nil
}

// get is a call without a body whose answer is a T.
func get[T any](ctx context.Context, c *Client, query url.Values, path ...string) (T, error) {
	answer, _, err := call[T](ctx, c, request{method: http.MethodGet, path: path, query: query})
	return answer, err
}

// send is a call with a body, or without if that is nil, whose answer is a T.
func send[T any](ctx context.Context, c *Client, method string, body any, path ...string) (T, error) {
	answer, _, err := call[T](ctx, c, request{method: method, path: path, body: body})
	return answer, err
}

// remove is a call without an answer.
func (c *Client) remove(ctx context.Context, path ...string) error {
	response, err := c.do(ctx, request{method: http.MethodDelete, path: path})
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// do returns an answer of which the body is to be read and closed, or the problem that it
// tells of.
func (c *Client) do(ctx context.Context, r request) (*http.Response, error) {
	var body io.Reader
	if r.body != nil {
		text, err := json.Marshal(r.body)
		if err != nil {
			return nil, fmt.Errorf("api: %w", err)
		}
		body = bytes.NewReader(text)
	}
	address := c.server.JoinPath("v1")
	for _, part := range r.path {
		address = address.JoinPath(url.PathEscape(part))
	}
	address.RawQuery = r.query.Encode()
	call, err := http.NewRequestWithContext(ctx, r.method, address.String(), body)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	if r.header != nil {
		call.Header = r.header
	}
	call.Header.Set("Authorization", "Bearer "+c.key)
	if body != nil {
		call.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(call)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	if response.StatusCode >= 300 {
		defer response.Body.Close()
		return nil, readProblem(response)
	}
	return response, nil
}

// Page is the part of a list that is asked for. The zero value is the first part.
type Page struct {
	Cursor string // where to continue: the Next of the part before
	Limit  int    // the most items, up to 200; 0: as many as the server likes
}

func (p Page) query(more ...string) url.Values {
	return query(append(more, "cursor", p.Cursor, "limit", number(p.Limit))...)
}

// query is made of names and values in turn; what is empty is left out.
func query(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// List is a part of a list.
type List[T any] struct {
	Items []T    `json:"items" doc:"Newest first."`
	Next  string `json:"next,omitempty" doc:"The cursor of the next page. Absent on the last one."`
}
