package store

import (
	"fmt"
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

// matchAnswers matches the answers to a question.
func (q question) matchAnswers() string { return q.subject("answer", ">") }

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

// readAnswer reads the subject of an answer. The error is ErrDamaged.
func readAnswer(subject string) (answer, error) {
	tokens := strings.Split(subject, ".")
	a := answer{question: question{tokens[2], tokens[3], tokens[4]}}
	switch form := tokens[5:]; {
	case len(form) == 1:
		a.upload = form[0]
	case len(form) == 3 && form[0] == secondForm:
		a.digest, a.upload = form[1], form[2]
	default:
		return a, fmt.Errorf("%w: it has the form %q, which this version does not know", ErrDamaged, form[0])
	}
	return a, nil
}

// uploadOf is an answer of which only the upload is known, from the subject of a chunk.
func uploadOf(chunk string) answer {
	tokens := strings.Split(chunk, ".")
	return answer{question: question{tokens[2], tokens[3], tokens[4]}, upload: tokens[5]}
}
