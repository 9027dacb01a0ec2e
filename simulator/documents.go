package simulator

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
)

// maxDocuments bounds the uploads that are remembered; the oldest go first.
const maxDocuments = 10_000

// documents remembers which uploads exist, not their bytes. Guarded by
// Simulator.mu.
type documents struct {
	byID  map[string]upload
	order []string // oldest first, removed ones included
}

type upload struct {
	size   int64
	sha256 string
}

func (d *documents) add(id string, u upload) {
	if d.byID == nil {
		d.byID = make(map[string]upload)
	}
	if len(d.order) == maxDocuments {
		delete(d.byID, d.order[0])
		d.order = append(d.order[:0], d.order[1:]...)
	}
	d.byID[id] = u
	d.order = append(d.order, id)
}

type documentBody struct {
	Status     string       `json:"status"`
	DocumentID string       `json:"document_id"`
	Size       int64        `json:"size"`
	SHA256     string       `json:"sha256,omitzero"`
	Extra      *undescribed `json:"future_field,omitzero"`
}

type noDocumentBody struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// answerUpload reads the body as it comes and keeps its size and digest alone.
func (s *Simulator) answerUpload(r *http.Request) answer {
	digest := sha256.New()
	size, err := io.Copy(digest, r.Body)
	if err != nil {
		return jsonAnswer(http.StatusBadRequest, noDocumentBody{"error", "The upload broke off"})
	}
	u := upload{size, hex.EncodeToString(digest.Sum(nil))}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.draws.token()
	s.documents.add(id, u)
	return jsonAnswer(200, documentBody{"ok", id, u.size, u.sha256, s.extra()})
}

func (s *Simulator) answerCheck(c call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.documents.byID[c.id]
	if !ok {
		return noDocument()
	}
	return jsonAnswer(200, documentBody{"uploaded", c.id, u.size, u.sha256, s.extra()})
}

func (s *Simulator) answerRemove(c call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.documents.byID[c.id]
	if !ok {
		return noDocument()
	}
	delete(s.documents.byID, c.id)
	return jsonAnswer(200, documentBody{Status: "removed", DocumentID: c.id, Size: u.size, Extra: s.extra()})
}

func noDocument() answer {
	return jsonAnswer(http.StatusNotFound, noDocumentBody{"error", "Document was not found"})
}

// discard reads a body to its end, or until it breaks off.
func discard(body io.Reader) { io.Copy(io.Discard, body) }
