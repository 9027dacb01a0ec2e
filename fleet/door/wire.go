package door

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"pollbridge/cache"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/tracing"
	"pollbridge/upstream"
)

// question is what is asked about a session; what was asked follows it.
type question struct {
	Origin string `json:"origin,omitempty"`
	// Whole wants a large final answer as it is, though it should be stored: it was not found.
	Whole bool `json:"whole,omitempty"`
	// Held says that a request is held for the session until there is news.
	Held bool `json:"held,omitempty"`
	// Wanted says that somebody wants to know of the session.
	Wanted bool `json:"wanted,omitempty"`
	// Span is that of the poll that asks.
	Span *tracing.SpanContext `json:"span,omitempty"`
}

// answer is what is told; the body of the observation, if there is one, follows it.
type answer struct {
	// Age is how old the observation is, in nanoseconds.
	Age time.Duration `json:"age,omitempty"`
	// Fresh is for how long it serves, from when it was made.
	Fresh       time.Duration        `json:"fresh,omitempty"`
	Observation *session.Written     `json:"observation,omitempty"` // the body follows
	Locale      string               `json:"locale,omitempty"`
	Failure     *upstream.Told       `json:"failure,omitempty"`
	CORS        []session.Field      `json:"cors,omitempty"`
	Learned     bool                 `json:"learned,omitempty"` // CORS says all there is to know
	Stored      bool                 `json:"stored,omitempty"`  // the final answer is: it is large, and there without its body
	Poll        *tracing.SpanContext `json:"poll,omitempty"`    // that has made the observation
}

// largest is the size of an answer up to which it is told as it is.
const largest = 64 << 10

var errWire = errors.New("door: what another replica says cannot be read")

func appendQuestion(v *session.Variant, q question) []byte {
	return v.AppendDurable(appendJSON(nil, q))
}

func readQuestion(t *session.Table, message []byte) (v *session.Variant, q question, err error) {
	durable, err := readJSON(message, &q)
	if err == nil {
		v, err = t.ReadDurable(durable)
	}
	return v, q, err
}

// appendAnswer appends to what is said of an origin what a cache answered to a question.
func appendAnswer(a answer, v *session.Variant, q question, result cache.Result, err error) []byte {
	if err == nil && result.How == cache.Stale {
		err = result.Err
	}
	if err != nil {
		a.Failure = upstream.Tell(err)
	}
	var body []byte
	if o := result.Observation; o != nil {
		a.Age, a.Locale, a.Poll, body = o.Age(time.Now()), v.Endpoint.Locales[o.Locale].Name, o.Poll, o.Body
		written := session.Write(nil, o)
		a.Observation = &written
		if o.State == session.Pending && result.TTL > 0 {
			a.Fresh = a.Age + result.TTL
		}
		if a.Stored = o.State.Final() && len(body) > largest && !q.Whole; a.Stored {
			body = nil
		}
	}
	return append(appendJSON(nil, a), body...)
}

// readAnswer reads what was asked about v, at that time.
func readAnswer(v *session.Variant, message []byte, at time.Time) (a answer, o *session.Observation, err error) {
	body, err := readJSON(message, &a)
	if err != nil || a.Observation == nil {
		return a, nil, err
	}
	o = a.Observation.Observation(localeOf(v, a.Locale), body)
	o.At, o.Elsewhere, o.Poll = at.Add(-a.Age), true, a.Poll
	return a, o, nil
}

// report is what was seen; the body follows, or what was asked where there is no observation.
type report struct {
	Age         time.Duration        `json:"age"`
	Wanted      bool                 `json:"wanted,omitempty"` // somebody wants to know of the session, or may
	Locale      string               `json:"locale,omitempty"`
	Observation *session.Written     `json:"observation,omitempty"`
	Poll        *tracing.SpanContext `json:"poll,omitempty"` // that has made it
}

func appendSighting(s sighting) []byte {
	told := report{Age: max(0, time.Since(s.at)), Wanted: s.wanted}
	if s.o == nil {
		return s.v.AppendDurable(appendJSON(nil, told))
	}
	written := session.Write(s.v, s.o)
	told.Locale, told.Observation, told.Poll = s.v.Endpoint.Locales[s.o.Locale].Name, &written, s.o.Poll
	return append(appendJSON(nil, told), s.o.Body...)
}

func readSighting(t *session.Table, message []byte, at time.Time) (s sighting, err error) {
	var told report
	rest, err := readJSON(message, &told)
	if err != nil {
		return s, err
	}
	s.at, s.wanted = at.Add(-told.Age), told.Wanted
	asked := rest
	if told.Observation != nil {
		asked = told.Observation.Variant
	}
	if s.v, err = t.ReadDurable(asked); err != nil || told.Observation == nil {
		return s, err
	}
	s.o = told.Observation.Observation(localeOf(s.v, told.Locale), rest)
	s.o.At, s.o.Poll = s.at, told.Poll
	return s, nil
}

// localeOf is a locale of v's endpoint, or that of v if there is none with that name.
func localeOf(v *session.Variant, name string) int {
	i := slices.IndexFunc(v.Endpoint.Locales, func(l session.Locale) bool { return l.Name == name })
	if i < 0 {
		return v.Locale
	}
	return i
}

func appendJSON(dst []byte, v any) []byte {
	head := store.JSON(v)
	dst = binary.AppendUvarint(dst, uint64(len(head)))
	return append(dst, head...)
}

func readJSON(message []byte, v any) (rest []byte, err error) {
	size, n := binary.Uvarint(message)
	if n <= 0 || size > uint64(len(message)-n) || json.Unmarshal(message[n:n+int(size)], v) != nil {
		return nil, errWire
	}
	return message[n+int(size):], nil
}
