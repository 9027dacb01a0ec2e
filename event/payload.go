package event

import (
	"bytes"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"pollbridge/session"
)

// mostResponse is how large an answer, without its document, may be to go into an
// event. What is larger is left out: it can still be fetched.
const mostResponse = 256 << 10

// envelope is what every webhook looks like.
type envelope[Data any] struct {
	Type      string `json:"type"`
	Timestamp string `json:"timestamp"`
	Data      Data   `json:"data"`
}

// sessionData is about a change of state. The order of its fields is the one that
// receivers see.
type sessionData struct {
	Session       string         `json:"session"`
	Endpoint      string         `json:"endpoint"`
	Locale        string         `json:"locale"`
	Token         string         `json:"token"`
	Sequence      int            `json:"sequence"`
	State         string         `json:"state"`
	PreviousState *string        `json:"previous_state"`
	Final         bool           `json:"final"`
	ObservedAt    *string        `json:"observed_at"`
	HTTPStatus    *int           `json:"http_status"`
	ErrorCode     *int32         `json:"error_code"`
	Message       *string        `json:"message"`
	Response      jsontext.Value `json:"response"`
	FileOmitted   bool           `json:"file_omitted"`
}

// Operational is what an operational event says.
type Operational struct {
	Subscription string
	Description  string
	Reason       string    // empty: none
	FailingSince time.Time // zero: it is not failing
}

// operationalData is about a subscription.
type operationalData struct {
	Subscription string  `json:"subscription"`
	Description  string  `json:"description"`
	Reason       *string `json:"reason"`
	FailingSince *string `json:"failing_since"`
	// Verbatim is in webhook.test only.
	Verbatim jsontext.Value `json:"verbatim,omitzero"`
}

func (o Operational) payload(eventType string, at time.Time) ([]byte, error) {
	data := operationalData{Subscription: o.Subscription, Description: o.Description, FailingSince: stampOf(o.FailingSince)}
	if o.Reason != "" {
		data.Reason = &o.Reason
	}
	if eventType == TypeTest {
		data.Verbatim = verbatim
	}
	return encode(envelope[operationalData]{eventType, stamp(at), data})
}

// TestPayload is what webhook.test sends.
func TestPayload(o Operational, at time.Time) ([]byte, error) { return o.payload(TypeTest, at) }

// verbatim is JSON that no usual library writes as it has read it: a receiver that
// verifies what it has decoded and encoded anew fails at once, and not one day.
var verbatim = jsontext.Value(`{"slash":"\/","letter":"\u0117","number":1.0}`)

// The upstream's answers are its own: names that stand twice and odd bytes go through
// as far as JSON allows.
var asItIs = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true), jsontext.PreserveRawStrings(true))

func encode[Data any](e envelope[Data]) ([]byte, error) {
	payload, err := json.Marshal(e, asItIs)
	if err != nil {
		return nil, fmt.Errorf("event: encoding an event: %w", err)
	}
	return payload, nil
}

const milliseconds = "2006-01-02T15:04:05.000Z"

func stamp(t time.Time) string { return t.UTC().Format(milliseconds) }

func stampOf(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return new(stamp(t))
}

func sessionPayload(c Change, sequence int, previous string) ([]byte, error) {
	d := sessionData{
		Session: c.Session, Endpoint: c.Endpoint, Locale: c.Locale, Token: c.Token,
		Sequence: sequence, State: c.State.String(), Final: c.State.Final(),
	}
	if previous != "" {
		d.PreviousState = &previous
	}
	if o := c.Observation; o != nil {
		d.observe(o)
		d.FileOmitted = d.FileOmitted || c.FileOmitted
	}
	return encode(envelope[sessionData]{c.Type, stamp(c.At), d})
}

func (d *sessionData) observe(o *session.Observation) {
	d.ObservedAt = stampOf(o.At)
	if o.Code != 0 {
		d.ErrorCode = new(o.Code)
	}
	if o.Content == nil {
		return
	}
	d.HTTPStatus = new(o.Status)
	body, omitted, err := session.WithoutFile(o.Body)
	if err != nil || len(body) > mostResponse {
		d.FileOmitted = err == nil
		return
	}
	d.Response, d.FileOmitted = body, omitted
	d.Message = messageIn(body)
}

// messageIn returns the text for people in an answer.
func messageIn(body []byte) *string {
	var answer struct {
		Message *jsontext.Value `json:"message"`
	}
	if json.Unmarshal(body, &answer, asItIs) != nil || answer.Message == nil || answer.Message.Kind() != '"' {
		return nil
	}
	text, err := jsontext.AppendUnquote(nil, *answer.Message)
	if err != nil {
		return nil
	}
	return new(string(text))
}

// WithFile puts the whole final answer into a payload that was recorded without its
// document, if it is what an event can hold: a JSON object.
func WithFile(payload []byte, o *session.Observation) []byte {
	var recorded envelope[sessionData]
	if _, _, err := session.WithoutFile(o.Body); err != nil || json.Unmarshal(payload, &recorded, asItIs) != nil {
		return payload
	}
	body := bytes.TrimPrefix(o.Body, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(body) { // some receivers verify what they have decoded
		body = bytes.ToValidUTF8(body, []byte("\uFFFD"))
	}
	recorded.Data.Response, recorded.Data.FileOmitted = body, false
	whole, err := encode(recorded)
	if err != nil {
		return payload
	}
	return whole
}
