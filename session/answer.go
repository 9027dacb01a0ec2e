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

// AnswerFormat says how to read an endpoint's answers.
type AnswerFormat struct {
	Status, Code, Message      pointer
	Pending, Succeeded, Failed []string // values of the status
	// FailedState is the state of an answer whose status is one of Failed and
	// whose code nobody has documented.
	FailedState State
}

// pointer is a parsed JSON Pointer (RFC 6901) through objects: the names on the
// way to a member.
type pointer []string

// parsePointer reads s; empty means whatever otherwise says.
func parsePointer(s string, otherwise pointer) (p pointer, ok bool) {
	if s == "" {
		return otherwise, true
	}
	parsed := jsontext.Pointer(s)
	return slices.Collect(parsed.Tokens()), parsed.IsValid() && s != "/"
}

// Read reads an answer: its HTTP status and its whole body. Where the answer says
// that something went wrong, a documented code decides whatever the HTTP status,
// because the vendor documents the one and not the other; otherwise a 5xx is a failure.
//
// Unlike requests, answers are read leniently: an odd byte in somebody's name must
// not cost the signed document. Where a member that matters stands twice, the
// answer is Unknown.
func (f *AnswerFormat) Read(status int, body []byte) (Answer, error) {
	state, code, message := member{at: f.Status}, member{at: f.Code}, member{at: f.Message}
	readable, once := pick(body, &state, &code, &message)
	number, err := strconv.ParseInt(code.text(), 10, 32)
	if err != nil {
		number = 0 // and not the largest there is
	}
	answer := Answer{Code: int32(number), Localized: message.value != nil && message.value.Kind() != 'n'}
	documented := false // the code says what happened, so the HTTP status need not
	known := codes[int(number)]
	switch text := state.text(); {
	case !readable, !once:
	case slices.Contains(f.Succeeded, text):
		answer.State = Succeeded
	case known.transient:
		return Answer{}, ErrTransient
	case slices.Contains(f.Pending, text):
		answer.State = Pending
	case slices.Contains(f.Failed, text):
		answer.State, answer.CallersFault = known.state, known.callersFault
		if documented = known != (meaning{}); !documented {
			answer.State = f.FailedState
		}
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

// member is one that an answer is searched for.
type member struct {
	at      pointer
	value   jsontext.Value // nil while it was not met
	entered int            // how many of the objects on the way to it were met
}

// text is the value of a string, or the literal as it stands.
func (m *member) text() string {
	if m.value.Kind() != '"' {
		return string(m.value)
	}
	text, err := jsontext.AppendUnquote(nil, m.value)
	if err != nil {
		return ""
	}
	return string(text)
}

// pick goes through an answer once. It tells whether that is a JSON object, and whether
// each member stands in it only once, and so does what leads to it.
func pick(body []byte, wanted ...*member) (readable, once bool) {
	body, decoder := lenient(body)
	once = true
	var object func(depth int, open []*member) bool
	object = func(depth int, open []*member) bool {
		return readObject(decoder, func(name string, _ int) bool {
			var found, leads []*member
			for _, m := range open {
				switch {
				case len(m.at) <= depth || m.at[depth] != name:
				case len(m.at) == depth+1:
					found = append(found, m)
				default:
					leads = append(leads, m)
					once = once && m.entered == depth
					m.entered = depth + 1
				}
			}
			switch {
			case found != nil:
				value, err := decoder.ReadValue()
				for _, m := range found {
					once = once && m.value == nil
					m.value = value.Clone()
				}
				return err == nil
			case leads != nil && decoder.PeekKind() == '{':
				return object(depth+1, leads)
			}
			return decoder.SkipValue() == nil
		})
	}
	return object(0, wanted) && int(decoder.InputOffset()) == len(body), once
}

// lenient returns an answer without what may stand around its JSON, and a decoder of it.
func lenient(body []byte) ([]byte, *jsontext.Decoder) {
	body = bytes.Trim(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), " \t\r\n")
	return body, jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// readObject reads an object; member reads the value of each of its members, which begins
// at from with the comma before it.
func readObject(decoder *jsontext.Decoder, member func(name string, from int) bool) bool {
	if token, err := decoder.ReadToken(); err != nil || token.Kind() != '{' {
		return false
	}
	for decoder.PeekKind() == '"' {
		from := int(decoder.InputOffset())
		name, err := decoder.ReadToken()
		if err != nil || !member(name.String(), from) {
			return false
		}
	}
	_, err := decoder.ReadToken()
	return err == nil
}
