package watch

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"pollbridge/session"
)

const (
	// mostPending is the size of the largest pending answer that is kept with its watch.
	mostPending = 4 << 10
	// pendingFor is how long one that is kept is not replaced: some change with each poll.
	pendingFor = time.Minute
	// mostContents bounds the pending answers that are remembered to be shared.
	mostContents = 1000
)

// keepPending keeps a pending answer to the question that the watch asks, to be served
// after a restart while the upstream fails. It reports whether that is new, and so has
// to be stored.
func (r *record) keepPending(v *session.Variant, o *session.Observation) bool {
	switch {
	case r.variant == nil, v.Key() != r.variant.Key(), o.Size() > mostPending:
		return false
	case r.pending != nil && (sameAnswer(r.pending, o) || o.At.Sub(r.pending.At) < pendingFor):
		return false
	}
	r.pending = o
	return true
}

// sameAnswer reports whether two observations only differ in their time.
func sameAnswer(a, b *session.Observation) bool {
	if a.Answer != b.Answer || a.Locale != b.Locale {
		return false
	}
	return a.Content == b.Content || a.Status == b.Status && bytes.Equal(a.Body, b.Body) &&
		slices.EqualFunc(a.Header, b.Header, func(f, g session.Field) bool {
			return bytes.Equal(f.Name, g.Name) && bytes.Equal(f.Value, g.Value)
		})
}

// storedPending is a pending answer as it is stored, without its time.
type storedPending struct {
	Locale string `json:"locale,omitempty"`
	session.WrittenHead
	Body []byte `json:"body"`
}

// appendPending appends o, which is an answer to v, with its length. It may be nil.
func appendPending(dst []byte, v *session.Variant, o *session.Observation) []byte {
	if o == nil {
		return append(dst, 0)
	}
	answer, _ := json.Marshal(storedPending{Locale: v.Endpoint.Locales[o.Locale].Name, WrittenHead: session.WriteHead(o), Body: o.Body})
	encoded := append(binary.AppendVarint(nil, o.At.UnixNano()), answer...)
	return append(binary.AppendUvarint(dst, uint64(len(encoded))), encoded...)
}

// pendingAnswers reads pending answers. Those of many watches are the same, and then
// share their memory. The zero value is ready for use.
type pendingAnswers struct {
	mu    sync.Mutex
	known map[string]pendingAnswer // by what is stored of them; guarded by mu
}

type pendingAnswer struct {
	storedPending
	content *session.Content
}

// read returns the answer to v that was encoded, or nil if there is none, or none that
// can be read any more.
func (p *pendingAnswers) read(v *session.Variant, encoded []byte) *session.Observation {
	at, n := binary.Varint(encoded)
	if n <= 0 {
		return nil
	}
	answer, ok := p.answer(encoded[n:])
	locale := slices.IndexFunc(v.Endpoint.Locales, func(l session.Locale) bool { return l.Name == answer.Locale })
	if !ok || locale < 0 {
		return nil
	}
	return &session.Observation{
		At:     time.Unix(0, at),
		Answer: session.Answer{State: session.Pending, Localized: answer.Localized, Code: answer.Code},
		Locale: int32(locale), Shared: true, Content: answer.content,
	}
}

func (p *pendingAnswers) answer(stored []byte) (answer pendingAnswer, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if answer, ok = p.known[string(stored)]; ok {
		return answer, true
	}
	if json.Unmarshal(stored, &answer.storedPending) != nil {
		return answer, false
	}
	answer.content = answer.Content(answer.Body)
	if p.known == nil || len(p.known) >= mostContents {
		p.known = map[string]pendingAnswer{}
	}
	p.known[string(stored)] = answer
	return answer, true
}

// Pending returns the last pending answer to v that is kept with its watch, unless the upstream
// has said something else since. It is nil if there is none.
func (w *Watcher) Pending(v *session.Variant) *session.Observation {
	id := session.ID(w.store, v)
	w.mu.Lock()
	defer w.mu.Unlock()
	e, known := w.live[id]
	if !known || !e.polls(v) || !e.missing.IsZero() {
		return nil
	}
	return e.pending
}
