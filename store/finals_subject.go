package store

import (
	"fmt"
	"regexp"
	"strings"

	"pollbridge/session"
)

// question is what answers are kept for: a variant in one locale. It holds hashes
// instead of secrets.
type question struct{ session, variant, locale string }

func (f *Finals) question(v *session.Variant, locale int) question {
	return question{
		session: f.s.SessionID(v),
		variant: f.s.keys.hash("variant", string(v.Identity())),
		locale:  f.s.keys.hash("locale", v.Endpoint.Locales[locale].Name),
	}
}

func (q question) subject(kind string, more ...string) string {
	return strings.Join(append([]string{finalsID, kind, q.session, q.variant, q.locale}, more...), ".")
}

// answer is what the subject of an answer says. There are two forms of it, which an
// answer keeps as long as it is stored: the first one does not know of bodies that are
// shared.
//
//	FINALS.answer.SESSION.VARIANT.LOCALE.UPLOAD
//	FINALS.answer.SESSION.VARIANT.LOCALE.2.DIGEST.UPLOAD
type answer struct {
	question
	digest string // of its body; empty in the first form
	upload string // names the chunks of its body, or is one of those below
}

const (
	secondForm = "2"
	whole      = "whole" // the body stands in the answer
	elsewhere  = "same"  // another answer of the session has that body
)

// answerTo is an answer to v whose body is stored already.
func (f *Finals) answerTo(v *session.Variant, o *session.Observation) answer {
	q := f.question(v, int(o.Locale))
	digest := idEncoding.EncodeToString(f.s.keys.id.sum(placeOf("body", q.session), o.Body))[:idLength]
	return answer{q, digest, elsewhere}
}

func (a answer) subject() string {
	if a.digest == "" {
		return a.question.subject("answer", a.upload)
	}
	return a.question.subject("answer", secondForm, a.digest, a.upload)
}

// matchBody matches the answers of the session that have the same body, wherever that
// is.
func (a answer) matchBody() string {
	return strings.Join([]string{finalsID, "answer", a.session, "*", "*", secondForm, a.digest, "*"}, ".")
}

func (a answer) inChunks() bool { return a.upload != whole && a.upload != elsewhere }

func (a answer) chunk(number string) string { return a.question.subject("chunk", a.upload, number) }

// subjectForm is that of answers and chunks.
var subjectForm = regexp.MustCompile(`^FINALS\.(?:answer|chunk)\.(ses_[a-z2-7]{26})\.([a-z2-7]{26})\.([a-z2-7]{26})\.` +
	`(?:2\.([a-z2-7]{26})\.)?(whole|same|[0-9A-Za-z]{22})(?:\.[0-9]+)?$`)

// readAnswer reads the subject of an answer, or of a chunk, of whose answer it only tells
// the upload. The error is ErrDamaged: no checksum of the server tells where a subject
// ends.
func readAnswer(subject string) (answer, error) {
	form := subjectForm.FindStringSubmatch(subject)
	if form == nil {
		return answer{}, fmt.Errorf("%w: its subject has a form that this version does not know", ErrDamaged)
	}
	return answer{question{form[1], form[2], form[3]}, form[4], form[5]}, nil
}
