package simulator

import (
	"fmt"
	"strings"
)

// helpText is what GET /_simulator/ answers.
func helpText() string {
	var b strings.Builder
	b.WriteString(`A simulated signing API.

Start a session            POST [/en]/smartid/sign.json         and smartid/sign/hash.json, smartid/login.json,
                           mobile/sign.json, mobile/sign/hash.json, mobile/login.json
                           {"access_token":"test","type":"pdf","country":"LT","code":"50001010006"}
Poll it                    POST [/en]/smartid/sign/status/TOKEN.json  {"access_token":"test"}
in other dialects          GET /smartid/sign/status/TOKEN.json?access_token=test
                           GET /api/v1/smartid/sign/status/TOKEN.json?access_token=test
                           GET /document/TOKEN/check-status     Authorization: Bearer test
Documents                  POST /api/document/upload.json
                           GET|POST /api/document/ID/check-status.json
                           DELETE /api/document/ID/remove.json

Control calls, which no fault strikes:

GET    /_simulator/stats             what was counted
GET    /_simulator/sessions/TOKEN    what is known of a session
POST   /_simulator/sessions/TOKEN    {"outcome":"succeeded"} ends it now
GET    /_simulator/fault             the fault that is on
PUT    /_simulator/fault             {"mode":"hang","probability":1,"duration":"30s","scope":"status"}
DELETE /_simulator/fault             lifts it
POST   /_simulator/reset             forgets all sessions, counts and the fault
GET    /_simulator/bytes/N           N bytes
ANY    /_simulator/echo...           what arrived: method, uri, headers, size and SHA-256 of the body

Outcomes: ` + outcomeForms + `.

Faults:

`)
	for _, s := range strikes {
		fmt.Fprintf(&b, "  %-18s %s\n", s.mode, s.help)
	}
	return b.String()
}
