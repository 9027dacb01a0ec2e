package simulator

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
)

const (
	// One client takes an answer for JSON only if the type is exactly this.
	jsonType = "application/json"
	htmlType = "text/html; charset=utf-8"
	textType = "text/plain; charset=utf-8"
)

// answer is what a call is answered with, before a fault spoils it.
type answer struct {
	status      int
	contentType string
	body        []byte
}

// jsonAnswer needs a value that marshals: the package's own answers all do.
func jsonAnswer(status int, v any) answer {
	body, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		panic("simulator: an answer of its own does not marshal: " + err.Error())
	}
	return answer{status, jsonType, body}
}

// page is what gateways and servers in trouble answer.
func page(status int, title string) answer {
	body := "<!DOCTYPE html>\n<html><head><title>" + title + "</title></head><body><h1>" + title + "</h1></body></html>\n"
	return answer{status, htmlType, []byte(body)}
}

func (a answer) send(w http.ResponseWriter) {
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	a.sendHead(w)
	w.Write(a.body) // the client may have left, which is its own affair
}

// sendHead leaves the length to the caller: without one, HTTP/1.1 sends chunks.
func (a answer) sendHead(w http.ResponseWriter) {
	a.setHead(w.Header())
	w.WriteHeader(a.status)
}

func (a answer) setHead(h http.Header) {
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", "no-cache, private")
	h.Set("Server", "signing-simulator")
}

// body is what the calls are answered with, each with its own selection of the fields. The
// bearer dialect has a DocumentStatus and no Status.
type body struct {
	Status         string       `json:"status,omitzero"`
	DocumentStatus string       `json:"document_status,omitzero"`
	Token          string       `json:"token,omitzero"`
	ControlCode    string       `json:"control_code,omitzero"`
	Message        string       `json:"message,omitzero"`
	ErrorCode      int          `json:"error_code,omitzero"`
	SignatureID    string       `json:"signature_id,omitzero"`
	SignatureValue []byte       `json:"signature_value,omitzero"`
	File           *file        `json:"file,omitzero"`
	Certificate    *certificate `json:"certificate,omitzero"`
	Person         *person      `json:"person,omitzero"`
	SanctionsData  []any        `json:"sanctions_data,omitzero"`
	PepsData       []any        `json:"peps_data,omitzero"`
}

// nestedBody is the answer of the bearer dialect.
type nestedBody struct {
	Data      body   `json:"data"`
	ErrorCode int    `json:"error_code,omitzero"`
	Message   string `json:"message,omitzero"`
}

// failed is the failed answer to a call. The detail, if any, follows the message.
func (s *Simulator) failed(c call, code int, detail string) answer {
	text := message(code, c.english)
	if detail != "" {
		text += ": " + detail
	}
	status := http.StatusOK
	if s.cfg.FailedByCode {
		status = code / 100
	}
	if c.dialect == bearerDialect {
		return jsonAnswer(status, nestedBody{Data: body{DocumentStatus: "failed"}, ErrorCode: code, Message: text})
	}
	return jsonAnswer(status, body{Status: "error", Message: text, ErrorCode: code})
}
