package store

import (
	"fmt"
	"regexp"
	"strings"
)

// address is what the subject of a body says. There are two forms of it, which a body keeps as
// long as it is stored: the first one does not know of bodies that are shared.
//
//	FINALS.answer.OWNER.NAME.UPLOAD
//	FINALS.answer.OWNER.NAME.2.DIGEST.UPLOAD
type address struct {
	owner, name string
	digest      string // of the body; empty in the first form
	upload      string // names the chunks of the body, or is one of those below
}

const (
	secondForm = "2"
	whole      = "whole" // the body stands in the message
	elsewhere  = "same"  // the owner has that body under another name
)

// addressOf is where a body is to be stored that its owner has already.
func (b *Bodies) addressOf(what Body) address {
	digest := idEncoding.EncodeToString(b.s.keys.id.sum(placeOf("body", what.Owner), what.Body))[:idLength]
	return address{what.Owner, what.Name, digest, elsewhere}
}

// of is a subject of what has that name.
func (a address) of(kind string, more ...string) string {
	return strings.Join(append([]string{bodiesID, kind, a.owner, a.name}, more...), ".")
}

func (a address) subject() string {
	if a.digest == "" {
		return a.of("answer", a.upload)
	}
	return a.of("answer", secondForm, a.digest, a.upload)
}

// matchBody matches what the owner has with the same body, wherever that is.
func (a address) matchBody() string {
	names := strings.Repeat(".*", strings.Count(a.name, ".")+1)
	return strings.Join([]string{bodiesID, "answer", a.owner + names, secondForm, a.digest, "*"}, ".")
}

func (a address) inChunks() bool { return a.upload != whole && a.upload != elsewhere }

func (a address) chunk(number string) string { return a.of("chunk", a.upload, number) }

// uploadLength is that of the name of an upload.
const uploadLength = 22

// subjectForm is that of bodies and chunks.
var subjectForm = regexp.MustCompile(`^FINALS\.(?:answer|chunk)\.([a-z]+_[a-z2-7]{26})\.([a-z2-7]{26}(?:\.[a-z2-7]{26})*)\.` +
	`(?:2\.([a-z2-7]{26})\.)?(whole|same|[0-9A-Za-z]{22})(?:\.[0-9]+)?$`)

// readAddress reads the subject of a body, or of a chunk, of whose body it only tells the
// upload. The error is ErrDamaged: no checksum of the server tells where a subject ends.
func readAddress(subject string) (address, error) {
	form := subjectForm.FindStringSubmatch(subject)
	if form == nil {
		return address{}, fmt.Errorf("%w: its subject has a form that this version does not know", ErrDamaged)
	}
	return address{form[1], form[2], form[3], form[4]}, nil
}
