package simulator

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxStartBody = 256 << 20
	// Documents are cut to this on the way in, and what remains of a body is
	// bounded in turn.
	maxKeptText = 4 << 10
	maxKeptBody = 1 << 20
)

// startParameters are those that the documentation names; others, such as the
// document, are read past.
type startParameters struct {
	AccessToken string `json:"access_token"`
	Type        string `json:"type"`
	Country     string `json:"country"`
	Code        string `json:"code"`
	Phone       string `json:"phone"`
}

type startedBody struct {
	Status      string       `json:"status"`
	Token       string       `json:"token"`
	ControlCode string       `json:"control_code"`
	Extra       *undescribed `json:"future_field,omitzero"`
}

func (s *Simulator) answerStart(r *http.Request, c call) answer {
	p, err := readStart(r)
	if err != nil {
		return s.rejectStart(c, codeParameters, err.Error())
	}
	if missing := p.missing(c.endpoint); len(missing) > 0 {
		return s.rejectStart(c, codeParameters, strings.Join(missing, ", "))
	}
	if !s.accepts(p.AccessToken) {
		return s.rejectStart(c, codeCredential, "")
	}
	if code := p.malformed(c.endpoint); code != 0 {
		return s.rejectStart(c, code, "")
	}
	started := s.startCalled(StartRequest{AccessToken: p.AccessToken, Endpoint: c.endpoint, FileType: extension(p.Type)})
	return jsonAnswer(200, startedBody{"ok", started.Token, started.ControlCode, s.extra()})
}

func (s *Simulator) startCalled(req StartRequest) Session {
	defer s.announce()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.startLocked(req, s.settleLocked()).brief()
}

func (s *Simulator) rejectStart(c call, code int, detail string) answer {
	s.mu.Lock()
	s.counts.startsRejected++
	s.mu.Unlock()
	text := message(code, c.locale)
	if detail != "" {
		text += ": " + detail
	}
	return s.failed(code, text)
}

// readStart takes the credential from the body, else the query, else the header:
// the dialects differ in that.
func readStart(r *http.Request) (startParameters, error) {
	var p startParameters
	whole := http.MaxBytesReader(nil, r.Body, maxStartBody)
	kept := &io.LimitedReader{R: &shortTexts{r: bufio.NewReaderSize(whole, 32<<10)}, N: maxKeptBody}
	err := json.UnmarshalRead(kept, &p, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return p, startError(err, kept.N <= 0)
	}
	if p.AccessToken == "" {
		p.AccessToken = r.URL.Query().Get("access_token")
	}
	if p.AccessToken == "" {
		p.AccessToken, _ = bearer(r)
	}
	return p, nil
}

// startError quotes nothing of the body.
func startError(err error, full bool) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge || full {
		return errors.New("body too large")
	}
	if wrongType, ok := errors.AsType[*json.SemanticError](err); ok && wrongType.JSONPointer != "" {
		return errors.New(string(wrongType.JSONPointer[1:]))
	}
	return errors.New("JSON")
}

// missing lists the parameters that the endpoint needs and the call lacks.
func (p startParameters) missing(e Endpoint) []string {
	var names []string
	need := func(name, value string) {
		if value == "" {
			names = append(names, name)
		}
	}
	need("access_token", p.AccessToken)
	if e.signsDocument() {
		need("type", p.Type)
	}
	if e.mobile() {
		need("phone", p.Phone)
	} else {
		need("country", p.Country)
	}
	need("code", p.Code)
	return names
}

var (
	phoneFormat   = regexp.MustCompile(`^\+?[0-9]{7,15}$`)
	codeFormat    = regexp.MustCompile(`^[0-9]{6}-?[0-9]{4,6}$`)
	countryFormat = regexp.MustCompile(`^[A-Za-z]{2}$`)
	typeFormat    = regexp.MustCompile(`^[a-z0-9]{1,10}$`)
)

// malformed returns the code for a parameter of the wrong form, 0 if all are well.
func (p startParameters) malformed(e Endpoint) int {
	switch {
	case e.mobile() && !phoneFormat.MatchString(p.Phone):
		return codePhone
	case !codeFormat.MatchString(p.Code):
		return codePersonCode
	case !e.mobile() && !countryFormat.MatchString(p.Country):
		return codeParameters
	}
	return 0
}

// extension is that of the signed file: documents come back in the type that
// they were sent in.
func extension(documentType string) string {
	if typeFormat.MatchString(documentType) {
		return documentType
	}
	return "pdf"
}
