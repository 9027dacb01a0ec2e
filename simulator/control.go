package simulator

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const controlPrefix = "/_simulator/"

func (s *Simulator) newControl() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+controlPrefix+"{$}", s.controlHelp)
	mux.HandleFunc("GET "+controlPrefix+"stats", s.controlStats)
	mux.HandleFunc("GET "+controlPrefix+"fault", s.controlFault)
	mux.HandleFunc("PUT "+controlPrefix+"fault", s.controlSetFault)
	mux.HandleFunc("DELETE "+controlPrefix+"fault", s.controlClearFault)
	mux.HandleFunc("GET "+controlPrefix+"sessions/{token}", s.controlSession)
	mux.HandleFunc("POST "+controlPrefix+"sessions/{token}", s.controlFinish)
	mux.HandleFunc("POST "+controlPrefix+"reset", s.controlReset)
	mux.HandleFunc("GET "+controlPrefix+"bytes/{n}", s.controlBytes)
	mux.HandleFunc(controlPrefix+"redirected", s.controlRedirected)
	return mux
}

// serveControl keeps the echo from the mux, which would tidy its path.
func (s *Simulator) serveControl(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, controlPrefix+"echo") {
		s.controlEcho(w, r)
		return
	}
	s.control.ServeHTTP(w, r)
}

// sendLine ends what a person may read in a terminal with a newline.
func sendLine(w http.ResponseWriter, a answer) {
	a.body = append(a.body.(text), '\n')
	send(w, a)
}

func (s *Simulator) controlHelp(w http.ResponseWriter, _ *http.Request) {
	send(w, answer{status: 200, contentType: textType, body: text(helpText())})
}

func (s *Simulator) controlStats(w http.ResponseWriter, _ *http.Request) {
	sendLine(w, jsonAnswer(200, s.Stats()))
}

// faultJSON is how the control calls write a fault.
type faultJSON struct {
	Mode        Mode    `json:"mode"`
	Probability float64 `json:"probability,omitzero"`
	Duration    string  `json:"duration,omitzero"`
	Scope       Scope   `json:"scope,omitzero"`
	Pace        string  `json:"pace,omitzero"`
}

func (s *Simulator) controlFault(w http.ResponseWriter, _ *http.Request) {
	f := s.Fault()
	if f.Mode == None {
		sendLine(w, jsonAnswer(200, faultJSON{Mode: None}))
		return
	}
	shown := faultJSON{Mode: f.Mode, Probability: f.Probability, Scope: f.Scope, Pace: f.Pace.String()}
	if f.Duration > 0 {
		shown.Duration = f.Duration.String()
	}
	sendLine(w, jsonAnswer(200, shown))
}

func (s *Simulator) controlSetFault(w http.ResponseWriter, r *http.Request) {
	f, err := readFault(r.Body)
	if err == nil {
		err = s.SetFault(f)
	}
	if err != nil {
		sendLine(w, controlError(http.StatusBadRequest, err))
		return
	}
	s.controlFault(w, r)
}

func readFault(body io.Reader) (Fault, error) {
	var f Fault
	err := readMembers(body, "mode", members{
		"mode": inText(func(v string) (err error) {
			f.Mode, err = parseMode(v)
			return err
		}),
		"probability": inNumber(func(v string) (err error) {
			f.Probability, err = parseProbability(v)
			return err
		}),
		"duration": inText(func(v string) (err error) {
			f.Duration, err = parsePositive(v)
			return err
		}),
		"scope": inText(func(v string) (err error) {
			f.Scope, err = parseScope(v)
			return err
		}),
		"pace": inText(func(v string) (err error) {
			f.Pace, err = parsePositive(v)
			return err
		}),
	})
	return f, err
}

func (s *Simulator) controlClearFault(w http.ResponseWriter, r *http.Request) {
	s.ClearFault()
	s.controlFault(w, r)
}

func (s *Simulator) controlSession(w http.ResponseWriter, r *http.Request) {
	found, ok := s.Session(r.PathValue("token"))
	if !ok {
		sendLine(w, controlError(http.StatusNotFound, ErrNoSession))
		return
	}
	sendLine(w, jsonAnswer(200, found))
}

func (s *Simulator) controlFinish(w http.ResponseWriter, r *http.Request) {
	var outcome Outcome
	err := readMembers(r.Body, "outcome", members{
		"outcome": inText(func(v string) (err error) {
			outcome, err = ParseOutcome(v)
			return err
		}),
	})
	if err != nil {
		sendLine(w, controlError(http.StatusBadRequest, err))
		return
	}
	if err := s.Finish(r.PathValue("token"), outcome); err != nil {
		sendLine(w, controlError(http.StatusNotFound, ErrNoSession))
		return
	}
	s.controlSession(w, r)
}

func (s *Simulator) controlReset(w http.ResponseWriter, r *http.Request) {
	s.Reset()
	s.controlStats(w, r)
}

func (s *Simulator) controlRedirected(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	s.counts.redirected++
	s.mu.Unlock()
	sendLine(w, jsonAnswer(200, errorBody{Status: "error", Message: "This request followed a redirect"}))
}

// noise is a body of n bytes, the same for the same n.
type noise int64

func (n noise) size() int64 { return int64(n) }

func (n noise) writeTo(w io.Writer) error { return writeNoise(w, "bytes", int64(n)) }

func (s *Simulator) controlBytes(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
	if err != nil || n < 0 {
		sendLine(w, controlError(http.StatusBadRequest, fmt.Errorf("%q is not a number of bytes; accepted: 0 or more", r.PathValue("n"))))
		return
	}
	send(w, answer{status: 200, contentType: "application/octet-stream", body: noise(n)})
}

type echoBody struct {
	Method     string              `json:"method"`
	URI        string              `json:"uri"` // as it was sent
	Proto      string              `json:"proto"`
	Host       string              `json:"host"`
	Headers    map[string][]string `json:"headers"`
	BodySize   int64               `json:"body_size"`
	BodySHA256 string              `json:"body_sha256"`
	Trailers   map[string][]string `json:"trailers,omitempty"`
}

func (s *Simulator) controlEcho(w http.ResponseWriter, r *http.Request) {
	digest := sha256.New()
	size, err := io.Copy(digest, r.Body)
	if err != nil {
		sendLine(w, controlError(http.StatusBadRequest, errors.New("the body broke off")))
		return
	}
	sendLine(w, jsonAnswer(200, echoBody{
		Method: r.Method, URI: r.RequestURI, Proto: r.Proto, Host: r.Host, Headers: r.Header,
		BodySize: size, BodySHA256: hex.EncodeToString(digest.Sum(nil)), Trailers: r.Trailer,
	}))
}

type controlErrorBody struct {
	Error string `json:"error"`
}

// controlError puts several mistakes on one line.
func controlError(status int, err error) answer {
	return jsonAnswer(status, controlErrorBody{strings.ReplaceAll(err.Error(), "\n", "; ")})
}
