package simulator

import (
	"crypto/ed25519"
	"crypto/sha256"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const maxStatusBody = 64 << 10

// answerStatus answers a poll. Whether the credential is one at all is decided before the
// token is looked at.
func (s *Simulator) answerStatus(r *http.Request, c call) answer {
	credential := credentialOf(r, c.dialect)
	if credential == "" {
		return s.failed(c, codeParameters, "")
	}
	if !s.accepts(credential) {
		return s.failed(c, codeCredential, "")
	}
	asked, known := s.collect(c, credential)
	switch {
	case !known:
		return s.failed(c, codeNoSession, "")
	case asked.State == Waiting:
		return s.statusAnswer(c, "pending", body{Status: "waiting"})
	case asked.State != Succeeded:
		return s.failed(c, asked.State.Code(), "")
	}
	return s.statusAnswer(c, "signed", s.signed(asked))
}

// collect looks the session up and takes its answer in one step, so that two polls at the
// same time cannot both get what is given once.
func (s *Simulator) collect(c call, credential string) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.findLocked(c.token)
	if !ok || found.State == Forgotten || found.AccessToken != credential || c.endpoint != "" && c.endpoint != found.Endpoint {
		return session{}, false
	}
	asked := *found
	if !found.final() {
		return asked, true
	}
	if found.FinalAnswers++; found.FinalAnswers == 1 {
		s.tellLocked(Event{Kind: EventCollected, Time: time.Now(), Session: found.Session})
	}
	if s.cfg.OneShot {
		s.forgetLocked(found, time.Now())
	}
	return asked, true
}

// credentialOf is empty where there is none.
func credentialOf(r *http.Request, d dialect) string {
	switch d {
	case queryDialect:
		return r.URL.Query().Get("access_token")
	case bearerDialect:
		if credential, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			return credential
		}
		return ""
	}
	return bodyCredential(r)
}

// bodyCredential reads JSON as the upstream's language does: of two members with one name
// the last counts, and names differ by case. A bridge that read it otherwise would be
// found out.
func bodyCredential(r *http.Request) string {
	var asked struct {
		AccessToken string `json:"access_token"`
	}
	if json.UnmarshalRead(http.MaxBytesReader(nil, r.Body, maxStatusBody), &asked, jsontext.AllowDuplicateNames(true)) != nil {
		return ""
	}
	return asked.AccessToken
}

func (s *Simulator) statusAnswer(c call, documentStatus string, b body) answer {
	if c.dialect == bearerDialect {
		b.Status, b.DocumentStatus = "", documentStatus
		return jsonAnswer(http.StatusOK, nestedBody{Data: b})
	}
	return jsonAnswer(http.StatusOK, b)
}

func (s *Simulator) signed(x session) body {
	b := body{Status: "ok", Person: &s.signer.person}
	if x.Endpoint.signsDocument() {
		b.SignatureID, b.File = signatureID(x.Token), signedFile(x.Token, x.fileSize)
		b.SanctionsData, b.PepsData = []any{}, []any{}
		return b
	}
	b.Certificate = &s.signer.certificate
	if x.Endpoint.signsHash() {
		// Over the token, since the hash of a session is not kept.
		b.SignatureID, b.SignatureValue = signatureID(x.Token), ed25519.Sign(s.signer.key, []byte(x.Token))
	}
	return b
}

// signatureID is the same at every poll of a session.
func signatureID(token string) string {
	return uuid(rand.New(rand.NewChaCha8(sha256.Sum256([]byte(token)))))
}
