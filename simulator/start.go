package simulator

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"

	"pollbridge/internal/jsontap"
)

const (
	maxStartBody = 256 << 20
	maxParameter = 4 << 10
)

func (s *Simulator) answerStart(r *http.Request, c call) answer {
	p, err := readStart(r)
	if err != nil {
		return s.failed(c, codeParameters, err.Error())
	}
	if missing := p.missing(c.endpoint); len(missing) > 0 {
		return s.failed(c, codeParameters, strings.Join(missing, ", "))
	}
	if !s.accepts(p["access_token"]) {
		return s.failed(c, codeCredential, "")
	}
	if code := p.malformed(c.endpoint); code != 0 {
		return s.failed(c, code, "")
	}
	started := s.start(StartRequest{AccessToken: p["access_token"], Endpoint: c.endpoint})
	return jsonAnswer(http.StatusOK, body{Status: "ok", Token: started.Token, ControlCode: started.ControlCode})
}

// parameters are those of a start call that the documentation names; others, such as the
// document, are read past.
type parameters map[string]string

// readStart takes the credential from the body, else the query, else the header: the
// dialects differ in that.
func readStart(r *http.Request) (parameters, error) {
	names := []string{"access_token", "type", "country", "code", "phone"}
	body := jsontap.New(maxParameter, names...)
	if _, err := io.Copy(body, http.MaxBytesReader(nil, r.Body, maxStartBody)); err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return nil, errors.New("body too large")
		}
		return nil, errors.New("body")
	}
	if !body.Whole() {
		return nil, errors.New("JSON")
	}
	p := parameters{}
	for _, name := range names {
		p[name], _ = body.Value(name)
	}
	authorization := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	p["access_token"] = cmp.Or(p["access_token"], credentialOf(r, queryDialect), authorization)
	return p, nil
}

// missing lists the parameters that the endpoint needs and the call lacks.
func (p parameters) missing(e Endpoint) (names []string) {
	needed := []string{"access_token", "country", "code"}
	if e.mobile() {
		needed[1] = "phone"
	}
	if e.signsDocument() {
		needed = append(needed, "type")
	}
	for _, name := range needed {
		if p[name] == "" {
			names = append(names, name)
		}
	}
	return names
}

var (
	phoneFormat   = regexp.MustCompile(`^\+?[0-9]{7,15}$`)
	codeFormat    = regexp.MustCompile(`^[0-9]{6}-?[0-9]{4,6}$`)
	countryFormat = regexp.MustCompile(`^[A-Za-z]{2}$`)
)

// malformed returns the code for a parameter of the wrong form, 0 if all are well.
func (p parameters) malformed(e Endpoint) int {
	switch {
	case e.mobile() && !phoneFormat.MatchString(p["phone"]):
		return codePhone
	case !codeFormat.MatchString(p["code"]):
		return codePersonCode
	case !e.mobile() && !countryFormat.MatchString(p["country"]):
		return codeParameters
	}
	return 0
}
