package testkit

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Client makes requests as they are: it neither asks for compression nor follows
// redirects. It trusts every certificate.
var Client = &http.Client{
	Transport: &http.Transport{
		DisableCompression: true, MaxIdleConnsPerHost: 1024, IdleConnTimeout: time.Second,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       30 * time.Second,
}

// Answer is what a client got, whole.
type Answer struct {
	Status   int
	Header   http.Header
	Body     string
	Response *http.Response // of which the body was read
	Err      error          // why there is no answer, or only a part of one
}

// Do makes one request. A field is a line of the header, such as "Prefer: wait=1".
func Do(t testing.TB, method, url, body string, fields ...string) Answer {
	t.Helper()
	return DoStreaming(t, method, url, strings.NewReader(body), fields...)
}

// DoStreaming is Do with a body that is sent in chunks where its length is not known.
func DoStreaming(t testing.TB, method, url string, body io.Reader, fields ...string) Answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, body)
	NoError(t, err)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		request.Header.Add(name, value)
	}
	response, err := Client.Do(request)
	if err != nil {
		return Answer{Err: err, Header: http.Header{}}
	}
	return ReadAnswer(response)
}

// ReadAnswer reads an answer to its end and closes it.
func ReadAnswer(response *http.Response) Answer {
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return Answer{response.StatusCode, response.Header, string(body), response, err}
}

// ReadAnswers reads answers until the connection ends, be it by a reset.
func ReadAnswers(t testing.TB, conn io.Reader) []Answer {
	t.Helper()
	whole, err := io.ReadAll(conn)
	if err != nil && !IsReset(err) {
		t.Errorf("the connection did not end: %v; so far %.300q", err, whole)
	}
	reader := bufio.NewReader(bytes.NewReader(whole))
	var answers []Answer
	for {
		if _, err := reader.Peek(1); err != nil {
			return answers
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Errorf("what was answered cannot be read: %v in %.600q", err, whole)
			return answers
		}
		answers = append(answers, ReadAnswer(response))
	}
}

// IsReset reports whether a connection was reset by its other end.
func IsReset(err error) bool { return strings.Contains(err.Error(), "reset by peer") }

// Statuses returns those of answers.
func Statuses(answers []Answer) []int {
	var codes []int
	for _, a := range answers {
		codes = append(codes, a.Status)
	}
	return codes
}
