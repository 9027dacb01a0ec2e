package door

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"pollbridge/cache"
	"pollbridge/session"
	"pollbridge/upstream"
)

// question is what is asked about a session; what was asked follows it.
type question struct {
	Origin string `json:"origin,omitempty"`
}

// answer is what is told; the body of the observation, if there is one, follows it.
type answer struct {
	// Age is how old the observation is, in nanoseconds.
	Age         time.Duration   `json:"age,omitempty"`
	Observation []byte          `json:"observation,omitempty"` // its written form, without a body
	Locale      string          `json:"locale,omitempty"`
	Failure     *upstream.Told  `json:"failure,omitempty"`
	CORS        []session.Field `json:"cors,omitempty"`
	Learned     bool            `json:"learned,omitempty"` // CORS says all there is to know
}

var errWire = errors.New("door: what another replica says cannot be read")

func appendQuestion(v *session.Variant, o session.PollOptions) []byte {
	return v.AppendDurable(appendJSON(nil, question{o.Origin}))
}

func readQuestion(t *session.Table, message []byte) (v *session.Variant, q question, err error) {
	durable, err := readJSON(message, &q)
	if err == nil {
		v, err = t.ReadDurable(durable)
	}
	return v, q, err
}

// appendAnswer appends what a cache answered.
func appendAnswer(v *session.Variant, result cache.Result, err error, cors []session.Field, learned bool) []byte {
	a := answer{CORS: cors, Learned: learned}
	if err == nil && result.How == cache.Stale {
		err = result.Err
	}
	if err != nil {
		a.Failure = upstream.Tell(err)
	}
	var body []byte
	if o := result.Observation; o != nil {
		a.Age, a.Locale, body = o.Age(time.Now()), v.Endpoint.Locales[o.Locale].Name, o.Body
		a.Observation = session.AppendHead(nil, nil, o)
	}
	return append(appendJSON(nil, a), body...)
}

// readAnswer reads what was asked about v, at that time.
func readAnswer(v *session.Variant, message []byte, at time.Time) (a answer, o *session.Observation, err error) {
	body, err := readJSON(message, &a)
	if err != nil || a.Observation == nil {
		return a, nil, err
	}
	if o, err = session.ReadObservation(append(a.Observation, body...), localeOf(v, a.Locale)); err != nil {
		return a, nil, errWire
	}
	o.At, o.Elsewhere = at.Add(-a.Age), true
	return a, o, nil
}

// seenHead stands before the written form of an observation.
type seenHead struct {
	Age    time.Duration `json:"age"`
	Locale string        `json:"locale"`
}

func appendSighting(v *session.Variant, o *session.Observation) []byte {
	message := appendJSON(nil, seenHead{o.Age(time.Now()), v.Endpoint.Locales[o.Locale].Name})
	return append(session.AppendHead(message, v, o), o.Body...)
}

func readSighting(t *session.Table, message []byte, at time.Time) (v *session.Variant, o *session.Observation, err error) {
	var head seenHead
	rest, err := readJSON(message, &head)
	if err != nil {
		return nil, nil, err
	}
	written, _, err := session.ReadHead(rest)
	if err != nil {
		return nil, nil, errWire
	}
	if v, err = t.ReadDurable(written.Variant); err != nil {
		return nil, nil, err
	}
	if o, err = session.ReadObservation(rest, localeOf(v, head.Locale)); err != nil {
		return nil, nil, errWire
	}
	o.At = at.Add(-head.Age)
	return v, o, nil
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
	head, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types always have one
	}
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
