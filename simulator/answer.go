package simulator

import (
	"io"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
)

const (
	// One client takes an answer for JSON only if the type is exactly this.
	jsonType = "application/json"
	textType = "text/plain; charset=utf-8"
)

// answer is what a call is answered with, before a fault spoils it.
type answer struct {
	status      int
	contentType string
	allow       string // the Allow header, if any
	body        body
}

// body knows its size before it is written, and can be written in pieces: a
// signed document is never held whole.
type body interface {
	size() int64
	writeTo(io.Writer) error
}

// text is a body that is at hand.
type text []byte

func (t text) size() int64 { return int64(len(t)) }

func (t text) writeTo(w io.Writer) error {
	_, err := w.Write(t)
	return err
}

// jsonAnswer needs a value that marshals: the package's own answers all do.
func jsonAnswer(status int, v any) answer {
	encoded, err := json.Marshal(v)
	if err != nil {
		panic("simulator: an answer of its own does not marshal: " + err.Error())
	}
	return answer{status: status, contentType: jsonType, body: text(encoded)}
}

// errorBody is the failed answer of every endpoint.
type errorBody struct {
	Status    string       `json:"status"`
	Message   string       `json:"message"`
	ErrorCode int          `json:"error_code"`
	Extra     *undescribed `json:"future_field,omitzero"`
}

func errorAnswer(code int, l locale, status int) answer {
	return jsonAnswer(status, errorBody{Status: "error", Message: message(code, l), ErrorCode: code})
}

// undescribed stands for what an API adds without telling anyone.
type undescribed struct {
	Note   string `json:"note"`
	Values []any  `json:"values"`
}

func (s *Simulator) extra() *undescribed {
	if !s.cfg.ExtraFields {
		return nil
	}
	return &undescribed{Note: "ąžuolas \"<&>\" 🌳", Values: []any{1, 2.5, true, nil, map[string]int{"deep": 1}}}
}

func send(w http.ResponseWriter, a answer) {
	a.writeHead(w)
	a.body.writeTo(w) // the client may have left, which is its own affair
}

func (a answer) writeHead(w http.ResponseWriter) {
	w.Header().Set("Content-Length", strconv.FormatInt(a.body.size(), 10))
	a.writeHeadChunked(w)
}

// writeHeadChunked leaves the length out, so that HTTP/1.1 sends chunks.
func (a answer) writeHeadChunked(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", "no-cache, private")
	h.Set("Server", "signing-simulator")
	if a.allow != "" {
		h.Set("Allow", a.allow)
	}
	w.WriteHeader(a.status)
}
