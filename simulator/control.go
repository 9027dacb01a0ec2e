package simulator

import (
	_ "embed"
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

// newControl makes the control calls, most of which answer what their function returns.
func (s *Simulator) newControl() *http.ServeMux {
	mux := http.NewServeMux()
	handle := func(method, path string, call func(*http.Request) (any, error)) {
		mux.HandleFunc(method+" "+controlPrefix+path, func(w http.ResponseWriter, r *http.Request) {
			v, err := call(r)
			switch {
			case errors.Is(err, ErrNoSession):
				sendLine(w, http.StatusNotFound, map[string]string{"error": ErrNoSession.Error()})
			case err != nil: // several mistakes are put on one line
				sendLine(w, http.StatusBadRequest, map[string]string{"error": strings.ReplaceAll(err.Error(), "\n", "; ")})
			default:
				sendLine(w, http.StatusOK, v)
			}
		})
	}
	handle("GET", "stats", func(*http.Request) (any, error) { return s.Stats(), nil })
	handle("POST", "reset", func(*http.Request) (any, error) { s.Reset(); return s.Stats(), nil })
	handle("GET", "fault", func(*http.Request) (any, error) { return s.writtenFault(), nil })
	handle("PUT", "fault", s.controlSetFault)
	handle("DELETE", "fault", func(*http.Request) (any, error) { s.ClearFault(); return s.writtenFault(), nil })
	handle("GET", "sessions/{token}", s.controlSession)
	handle("POST", "sessions/{token}", s.controlFinish)
	mux.HandleFunc("GET "+controlPrefix+"{$}", controlHelp)
	return mux
}

// sendLine ends what a person may read in a terminal with a newline.
func sendLine(w http.ResponseWriter, status int, v any) {
	a := jsonAnswer(status, v)
	a.body = append(a.body, '\n')
	a.send(w)
}

// writtenFault is the fault that is on, as controlSetFault reads it.
func (s *Simulator) writtenFault() map[string]string {
	written := map[string]string{}
	for option := range strings.SplitSeq("mode="+s.Fault().String(), ",") {
		name, value, _ := strings.Cut(option, "=")
		written[name] = value
	}
	return written
}

func (s *Simulator) controlSetFault(r *http.Request) (any, error) {
	f, err := readFault(r.Body)
	if err == nil {
		err = s.SetFault(f)
	}
	return s.writtenFault(), err
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

func (s *Simulator) controlSession(r *http.Request) (any, error) {
	found, ok := s.Session(r.PathValue("token"))
	if !ok {
		return nil, ErrNoSession
	}
	return found, nil
}

func (s *Simulator) controlFinish(r *http.Request) (any, error) {
	var wanted struct {
		Outcome Outcome `json:"outcome"`
	}
	body := io.LimitReader(r.Body, maxControlBody)
	if err := json.UnmarshalRead(body, &wanted, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf(`the body cannot be read: %w; accepted: {"outcome":"succeeded"}`, err)
	}
	if err := s.Finish(r.PathValue("token"), wanted.Outcome); err != nil {
		return nil, err
	}
	return s.controlSession(r)
}

//go:embed README.md
var help []byte

func controlHelp(w http.ResponseWriter, _ *http.Request) {
	answer{http.StatusOK, textType, help}.send(w)
}
