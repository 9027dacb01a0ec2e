package simulator

import (
	"bytes"
	"crypto/sha256"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const maxStatusBody = 64 << 10

// answerStatus answers a poll. Whether the credential is one at all is decided
// before the token is looked at.
func (s *Simulator) answerStatus(r *http.Request, c call, counts bool) answer {
	credential, ok := credentialOf(r, c.dialect)
	if !ok {
		return s.statusFailed(c, codeParameters)
	}
	if !s.accepts(credential) {
		return s.statusFailed(c, codeCredential)
	}
	asked, known := s.poll(c, credential, counts)
	switch {
	case !known:
		return s.statusFailed(c, codeNoSession)
	case asked.State == Waiting:
		return s.statusWaiting(c)
	case asked.State != Succeeded:
		return s.statusFailed(c, asked.State.Code())
	}
	return s.statusSigned(c, asked)
}

// poll looks the session up and takes its answer in one step, so that two polls
// at the same time cannot both get what is given once.
func (s *Simulator) poll(c call, credential string, counts bool) (session, bool) {
	defer s.announce()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.settleLocked()
	found, ok := s.table.byToken[c.id]
	if !ok || found.State == Forgotten || found.AccessToken != credential {
		return session{}, false
	}
	if c.endpoint != anyEndpoint && c.endpoint != found.Endpoint {
		return session{}, false
	}
	asked := session{Session: found.brief(), fileSize: found.fileSize, fileType: found.fileType}
	if found.final() && counts {
		s.collectLocked(found, now)
	}
	return asked, true
}

func credentialOf(r *http.Request, d dialect) (string, bool) {
	switch d {
	case queryDialect:
		credential := r.URL.Query().Get("access_token")
		return credential, credential != ""
	case bearerDialect:
		return bearer(r)
	}
	return bodyCredential(r)
}

func bearer(r *http.Request) (string, bool) {
	credential, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return credential, ok && credential != ""
}

// bodyCredential reads JSON as the upstream's language does: of two members with
// one name the last counts, and names differ by case. A bridge that read it
// otherwise would be found out.
func bodyCredential(r *http.Request) (string, bool) {
	var asked struct {
		AccessToken string `json:"access_token"`
	}
	body := http.MaxBytesReader(nil, r.Body, maxStatusBody)
	err := json.UnmarshalRead(body, &asked, jsontext.AllowDuplicateNames(true))
	return asked.AccessToken, err == nil && asked.AccessToken != ""
}

// statusBody is the answer of the endpoints, each with its own selection of the
// optional fields.
type statusBody struct {
	Status         string       `json:"status"`
	SignatureID    string       `json:"signature_id,omitzero"`
	SignatureValue string       `json:"signature_value,omitzero"`
	File           *fileJSON    `json:"file,omitzero"`
	Certificate    *certificate `json:"certificate,omitzero"`
	Person         *person      `json:"person,omitzero"`
	SanctionsData  []any        `json:"sanctions_data,omitzero"`
	PepsData       []any        `json:"peps_data,omitzero"`
	Extra          *undescribed `json:"future_field,omitzero"`
}

type fileJSON struct {
	Name    string `json:"name"`
	Content string `json:"content"`
	Digest  string `json:"digest"`
}

// nestedBody is the answer of the bearer dialect.
type nestedBody struct {
	Data      nestedData   `json:"data"`
	ErrorCode int          `json:"error_code,omitzero"`
	Message   string       `json:"message,omitzero"`
	Extra     *undescribed `json:"future_field,omitzero"`
}

type nestedData struct {
	DocumentStatus string       `json:"document_status"`
	SignatureID    string       `json:"signature_id,omitzero"`
	SignatureValue string       `json:"signature_value,omitzero"`
	File           *fileJSON    `json:"file,omitzero"`
	Certificate    *certificate `json:"certificate,omitzero"`
	Person         *person      `json:"person,omitzero"`
}

func (s *Simulator) statusWaiting(c call) answer {
	if c.dialect == bearerDialect {
		return jsonAnswer(200, nestedBody{Data: nestedData{DocumentStatus: "pending"}, Extra: s.extra()})
	}
	return jsonAnswer(200, statusBody{Status: "waiting", Extra: s.extra()})
}

func (s *Simulator) statusFailed(c call, code int) answer {
	if c.dialect == bearerDialect {
		return jsonAnswer(s.cfg.FailedStatus.httpStatus(code), nestedBody{
			Data: nestedData{DocumentStatus: "failed"}, ErrorCode: code, Message: message(code, c.locale), Extra: s.extra(),
		})
	}
	return s.failed(code, message(code, c.locale))
}

// failed is the failed answer of everything but the bearer dialect.
func (s *Simulator) failed(code int, message string) answer {
	return jsonAnswer(s.cfg.FailedStatus.httpStatus(code), errorBody{
		Status: "error", Message: message, ErrorCode: code, Extra: s.extra(),
	})
}

// The places of what is written while the answer is sent. They contain nothing
// that JSON escapes and occur in no other field.
const (
	contentPlace = "@content@"
	digestPlace  = "@digest@"
)

func (s *Simulator) statusSigned(c call, asked session) answer {
	signed := s.signedBody(asked)
	var a answer
	if c.dialect == bearerDialect {
		a = jsonAnswer(200, nestedBody{
			Data: nestedData{
				DocumentStatus: "signed", SignatureID: signed.SignatureID, SignatureValue: signed.SignatureValue,
				File: signed.File, Certificate: signed.Certificate, Person: signed.Person,
			},
			Extra: s.extra(),
		})
	} else {
		a = jsonAnswer(200, signed)
	}
	if signed.File != nil {
		a.body = withDocument(a.body.(text), signedDocument{asked.Token, asked.fileSize})
	}
	return a
}

func (s *Simulator) signedBody(asked session) statusBody {
	b := statusBody{Status: "ok", Person: &s.signer.person, Extra: s.extra()}
	if asked.Endpoint.signsDocument() {
		b.SignatureID = signatureID(asked.Token)
		b.File = &fileJSON{Name: "document_signed." + asked.fileType, Content: contentPlace, Digest: digestPlace}
		b.SanctionsData, b.PepsData = []any{}, []any{}
		return b
	}
	b.Certificate = &s.signer.certificate
	if asked.Endpoint.signsHash() {
		b.SignatureID, b.SignatureValue = signatureID(asked.Token), s.signer.sign(asked.Token)
	}
	return b
}

func withDocument(template text, document signedDocument) fileBody {
	before, rest, _ := bytes.Cut(template, []byte(contentPlace))
	between, after, _ := bytes.Cut(rest, []byte(digestPlace))
	return fileBody{before, between, after, document}
}

// signatureID is the same at every poll of a session.
func signatureID(token string) string {
	sum := sha256.Sum256([]byte(token))
	return randomness{seeded(sum)}.token()
}
