package session

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Answer is what an answer of the upstream says about a session.
type Answer struct {
	State State
	// CallersFault means that the request was wrong, not the session: a malformed
	// parameter or a bad credential.
	CallersFault bool
	// Localized means that the answer holds a text for people, so it serves its own
	// locale only.
	Localized bool
	Code      int32 // error_code; 0 where there is none
}

// The ways in which an answer can be no answer: failures of the upstream, which say
// nothing about the session.
var (
	ErrUnreadable  = errors.New("the upstream's answer is not a JSON object")
	ErrTransient   = errors.New("the upstream answered a transient error code")
	ErrServerError = errors.New("the upstream answered a server error")
	ErrSlowDown    = errors.New("the upstream answered too many requests")
)

// Read reads an answer: its HTTP status and its whole body. Where the answer says
// that something went wrong, a documented code decides whatever the HTTP status,
// because the vendor documents the one and not the other; otherwise a 5xx is a failure.
//
// Unlike requests, answers are read leniently: an odd byte in somebody's name must
// not cost the signed document. Where a member that matters stands twice, the
// answer is Unknown.
func (f *AnswerFormat) Read(status int, body []byte) (Answer, error) {
	w := walk{format: f}
	readable := w.read(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	code, _ := w.code.number()
	answer := Answer{Code: int32(code), Localized: w.message.present()}
	documented := false // the code says what happened, so the HTTP status need not
	text := w.status.text()
	switch {
	case !readable, w.twice:
	case slices.Contains(f.Succeeded, text):
		answer.State = Succeeded
	case codes[code] == isTransient:
		return Answer{}, ErrTransient
	case slices.Contains(f.Pending, text):
		answer.State = Pending
	case slices.Contains(f.Failed, text):
		known := codes[code]
		documented = known != undocumented
		answer.State, answer.CallersFault = f.failed(known), known == isCallersFault
	}
	switch {
	case status < 200, 300 <= status && status < 400:
		return Answer{}, ErrUnreadable
	case documented:
		return answer, nil
	case status >= 500:
		return Answer{}, ErrServerError
	case status == http.StatusTooManyRequests:
		return Answer{}, ErrSlowDown
	case !readable:
		return Answer{}, ErrUnreadable
	}
	return answer, nil
}

func (f *AnswerFormat) failed(known verdict) State {
	switch known {
	case undocumented:
		return f.FailedState
	default:
		return known.state()
	}
}

// walk goes through an answer once and picks out the members that its format names.
type walk struct {
	format                *AnswerFormat
	status, code, message member
	twice                 bool
}

// member is a raw JSON value, nil while it was not met.
type member jsontext.Value

func (w *walk) read(body []byte) bool {
	decoder := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if decoder.PeekKind() != '{' || !w.object(decoder, 0, [3]bool{true, true, true}) {
		return false
	}
	return len(bytes.Trim(body[decoder.InputOffset():], " \t\r\n")) == 0
}

// object reads an object at some depth; open tells which of the three pointers lead
// through it.
func (w *walk) object(decoder *jsontext.Decoder, depth int, open [3]bool) bool {
	if _, err := decoder.ReadToken(); err != nil {
		return false
	}
	pointers := [3]pointer{w.format.Status, w.format.Code, w.format.Message}
	members := [3]*member{&w.status, &w.code, &w.message}
	var entered [3]bool // pointers that have led on from here
	for decoder.PeekKind() == '"' {
		token, err := decoder.ReadToken()
		if err != nil {
			return false
		}
		var ends, leads [3]bool
		for i, p := range pointers {
			if open[i] && len(p) > depth && token.Kind() == '"' && nameIs(token, p[depth]) {
				ends[i], leads[i] = len(p) == depth+1, len(p) > depth+1
			}
		}
		for i, led := range leads {
			w.twice = w.twice || led && entered[i]
			entered[i] = entered[i] || led
		}
		switch {
		case ends != [3]bool{}:
			value, err := decoder.ReadValue()
			if err != nil {
				return false
			}
			for i, m := range members {
				if ends[i] {
					w.twice = w.twice || *m != nil
					*m = member(bytes.Clone(value))
				}
			}
		case leads != [3]bool{} && decoder.PeekKind() == '{':
			if !w.object(decoder, depth+1, leads) {
				return false
			}
		default:
			if err := decoder.SkipValue(); err != nil {
				return false
			}
		}
	}
	_, err := decoder.ReadToken()
	return err == nil
}

func nameIs(token jsontext.Token, name string) bool { return token.String() == name }

func (m member) present() bool { return m != nil && string(m) != "null" }

// text is the value of a string, or the literal as it stands.
func (m member) text() string {
	if len(m) == 0 || m[0] != '"' {
		return string(m)
	}
	text, err := jsontext.AppendUnquote(nil, []byte(m))
	if err != nil {
		return ""
	}
	return string(text)
}

func (m member) number() (n int, ok bool) {
	number, err := strconv.ParseInt(m.text(), 10, 32)
	if err != nil {
		return 0, false
	}
	return int(number), true
}
