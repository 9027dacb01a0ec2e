package api

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// Problem is why a call was refused, in the form of RFC 9457. It never repeats a value
// that was sent: that might be a secret.
type Problem struct {
	Title  string         `json:"title" doc:"The name of the HTTP status." example:"Unprocessable Entity"`
	Status int            `json:"status" doc:"The HTTP status." example:"422"`
	Detail string         `json:"detail,omitempty" doc:"What is wrong, as a readable sentence." example:"body.url: must have the scheme https"`
	Errors []ProblemField `json:"errors,omitempty" doc:"Every field that is wrong."`

	OldestCursor string `json:"oldest_cursor,omitempty" doc:"With 410: the cursor that all events follow which are kept."`
}

// ProblemField is a field that is wrong.
type ProblemField struct {
	Location string `json:"location" doc:"The field: body.NAME, query.NAME, path.NAME or header.NAME." example:"body.url"`
	Message  string `json:"message" doc:"What is wrong with it." example:"must have the scheme https"`
}

// Error is all that there is to say: the title, and each field, or else the detail.
func (p *Problem) Error() string {
	text := fmt.Sprintf("%d %s", p.Status, p.Title)
	if len(p.Errors) == 0 && p.Detail != "" {
		return text + ": " + p.Detail
	}
	for i, field := range p.Errors {
		text += map[bool]string{true: ": ", false: "; "}[i == 0] + field.Location + ": " + field.Message
	}
	return text
}

const mostProblem = 1 << 20

// readProblem reads what an answer complains about. Where something else than the API
// answered, that is its status alone.
func readProblem(response *http.Response) *Problem {
	p := &Problem{}
	text, _ := io.ReadAll(io.LimitReader(response.Body, mostProblem))
	if json.Unmarshal(text, p) != nil || p.Status != response.StatusCode {
		p = &Problem{Title: http.StatusText(response.StatusCode), Status: response.StatusCode}
	}
	return p
}
