package simulator

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	controlPrefix  = "/_simulator/"
	maxControlBody = 64 << 10
)

func (s *Simulator) newControl() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+controlPrefix+"{$}", controlHelp)
	mux.HandleFunc("GET "+controlPrefix+"stats", s.controlStats)
	mux.HandleFunc("GET "+controlPrefix+"fault", s.controlFault)
	mux.HandleFunc("PUT "+controlPrefix+"fault", s.controlSetFault)
	mux.HandleFunc("DELETE "+controlPrefix+"fault", s.controlClearFault)
	mux.HandleFunc("GET "+controlPrefix+"sessions/{token}", s.controlSession)
	mux.HandleFunc("POST "+controlPrefix+"sessions/{token}", s.controlFinish)
	mux.HandleFunc("POST "+controlPrefix+"reset", s.controlReset)
	mux.HandleFunc(controlPrefix+"redirected", s.controlRedirected)
	return mux
}

// sendLine ends what a person may read in a terminal with a newline.
func sendLine(w http.ResponseWriter, status int, v any) {
	a := jsonAnswer(status, v)
	a.body = append(a.body, '\n')
	a.send(w)
}

// sendError puts several mistakes on one line.
func sendError(w http.ResponseWriter, status int, err error) {
	sendLine(w, status, struct {
		Error string `json:"error"`
	}{strings.ReplaceAll(err.Error(), "\n", "; ")})
}

func (s *Simulator) controlStats(w http.ResponseWriter, _ *http.Request) {
	sendLine(w, http.StatusOK, s.Stats())
}

func (s *Simulator) controlReset(w http.ResponseWriter, r *http.Request) {
	s.Reset()
	s.controlStats(w, r)
}

// controlFault writes the fault that is on, as controlSetFault reads it.
func (s *Simulator) controlFault(w http.ResponseWriter, _ *http.Request) {
	written := map[string]string{}
	for option := range strings.SplitSeq("mode="+s.Fault().String(), ",") {
		name, value, _ := strings.Cut(option, "=")
		written[name] = value
	}
	sendLine(w, http.StatusOK, written)
}

func (s *Simulator) controlSetFault(w http.ResponseWriter, r *http.Request) {
	f, err := readFault(r.Body)
	if err == nil {
		err = s.SetFault(f)
	}
	if err != nil {
		sendError(w, http.StatusBadRequest, err)
		return
	}
	s.controlFault(w, r)
}

// readFault reports every mistake at once. Control calls are written by hand, so a
// misspelt name is an error and not a default.
func readFault(body io.Reader) (f Fault, err error) {
	var object map[string]jsontext.Value
	if err := json.UnmarshalRead(io.LimitReader(body, maxControlBody), &object); err != nil {
		return f, fmt.Errorf("the body cannot be read: %w; accepted: a JSON object with mode, %s", err, faultOptions)
	}
	if _, ok := object["mode"]; !ok {
		err = errors.New("mode: it is missing")
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		text := string(object[name])
		if object[name].Kind() == '"' {
			unquoted, _ := jsontext.AppendUnquote(nil, text) // it was read as JSON before
			text = string(unquoted)
		}
		err = errors.Join(err, f.set(name, text))
	}
	return f, err
}

func (s *Simulator) controlClearFault(w http.ResponseWriter, r *http.Request) {
	s.ClearFault()
	s.controlFault(w, r)
}

func (s *Simulator) controlSession(w http.ResponseWriter, r *http.Request) {
	found, ok := s.Session(r.PathValue("token"))
	if !ok {
		sendError(w, http.StatusNotFound, ErrNoSession)
		return
	}
	sendLine(w, http.StatusOK, found)
}

func (s *Simulator) controlFinish(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		Outcome Outcome `json:"outcome"`
	}
	body := io.LimitReader(r.Body, maxControlBody)
	if err := json.UnmarshalRead(body, &wanted, json.RejectUnknownMembers(true)); err != nil {
		sendError(w, http.StatusBadRequest, fmt.Errorf(`the body cannot be read: %w; accepted: {"outcome":"succeeded"}`, err))
		return
	}
	switch err := s.Finish(r.PathValue("token"), wanted.Outcome); {
	case errors.Is(err, ErrNoSession):
		sendError(w, http.StatusNotFound, ErrNoSession)
	case err != nil:
		sendError(w, http.StatusBadRequest, err)
	default:
		s.controlSession(w, r)
	}
}

func (s *Simulator) controlRedirected(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	s.stats.Redirected++
	s.mu.Unlock()
	sendLine(w, http.StatusOK, errorBody{Status: "error", Message: "This request followed a redirect"})
}

func controlHelp(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	b.WriteString(`A simulated signing API.

Control calls, which no fault hits:

GET    /_simulator/stats             what was counted
GET    /_simulator/sessions/TOKEN    what is known of a session
POST   /_simulator/sessions/TOKEN    {"outcome":"succeeded"} ends it now
GET    /_simulator/fault             the fault that is on
PUT    /_simulator/fault             {"mode":"hang","probability":1,"duration":"30s","scope":"status"}
DELETE /_simulator/fault             lifts it
POST   /_simulator/reset             forgets all sessions, counts and the fault

Outcomes: ` + outcomeForms + `.

Faults:

  error400 to 599    the status; error500 with code 50000, all others with a page of HTML,
                     error413 before the body is read; with "retry_after":"8s"
`)
	for _, known := range effects {
		fmt.Fprintf(&b, "  %-18s %s\n", known.mode, known.help)
	}
	answer{http.StatusOK, textType, []byte(b.String())}.send(w)
}
