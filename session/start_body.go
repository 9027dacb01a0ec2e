package session

import (
	"io"

	"pollbridge/internal/jsontap"
)

// StartBody reads the credential out of the JSON body of a start call while that
// passes by, in pieces of any size, without holding the document in it. What else is
// wrong with the body is for the upstream to say, which alone knows whether a session
// began. Create it with [Start.InBody]; it is not safe for concurrent use.
type StartBody struct {
	name string // of the credential's member
	tap  *jsontap.Tap
}

// maxCredential bounds what is taken for a credential.
const maxCredential = 4 << 10

func newStartBody(name string) *StartBody {
	return &StartBody{name: name, tap: jsontap.New(maxCredential, name)}
}

var _ io.Writer = (*StartBody)(nil)

// Write reads a piece of the body. It never fails, and does not keep p.
func (b *StartBody) Write(p []byte) (int, error) { return b.tap.Write(p) }

// Credential returns the credential, once the whole body was written. It reports false
// if there is not exactly one, or if another reader might see another one.
func (b *StartBody) Credential() (string, bool) { return b.tap.Value(b.name) }
