package store

import "github.com/nats-io/nats.go"

// prefix begins the names of all that a store has at the server, where others may have
// something, too. Nothing else in this package knows of it: what a record is encrypted for does
// not hang on it. Empty: there is none.
type prefix string

// stream is the name of a stream at the server.
func (p prefix) stream(id string) string {
	if p == "" {
		return id
	}
	return string(p) + "_" + id
}

// subject is a subject at the server. Empty stands for all.
func (p prefix) subject(subject string) string {
	if p == "" || subject == "" {
		return subject
	}
	return string(p) + "." + subject
}

func (p prefix) subjects(subjects []string) []string {
	if p == "" || len(subjects) == 0 {
		return subjects
	}
	prefixed := make([]string, len(subjects))
	for i, subject := range subjects {
		prefixed[i] = p.subject(subject)
	}
	return prefixed
}

// cut is the inverse of subject.
func (p prefix) cut(subject string) string {
	if p == "" {
		return subject
	}
	return subject[len(p)+1:]
}

// message is a message as it is sent to the server. It shares all but its subject.
func (p prefix) message(m *nats.Msg) *nats.Msg {
	if p == "" {
		return m
	}
	prefixed := *m
	prefixed.Subject = p.subject(m.Subject)
	return &prefixed
}
