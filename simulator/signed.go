package simulator

import (
	"bufio"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"math/rand/v2"
)

// signedDocument is the simulated content of a signed file: the same bytes for
// the same token whenever it is asked for, made while they are written.
type signedDocument struct {
	token string
	size  int64
}

func (d signedDocument) writeTo(w io.Writer) error {
	head := "%PDF-1.7\n% simulated signed document " + d.token + "\n"
	n := min(d.size, int64(len(head)))
	if _, err := io.WriteString(w, head[:n]); err != nil {
		return err
	}
	return writeNoise(w, d.token, d.size-n)
}

// writeNoise writes n bytes that compress badly and depend on key alone.
func writeNoise(w io.Writer, key string, n int64) error {
	source := rand.NewChaCha8(sha256.Sum256([]byte(key)))
	_, err := io.CopyN(w, source, n)
	return err
}

// fileBody is JSON around a document. The digest follows the content in the
// answer, so one pass makes both.
type fileBody struct {
	beforeContent, beforeDigest, afterDigest []byte
	document                                 signedDocument
}

func (b fileBody) size() int64 {
	return int64(len(b.beforeContent)+len(b.beforeDigest)+len(b.afterDigest)) +
		(b.document.size+2)/3*4 + 2*sha1.Size
}

func (b fileBody) writeTo(w io.Writer) error {
	out := bufio.NewWriterSize(w, 32<<10)
	out.Write(b.beforeContent)
	digest := sha1.New() // what the clients of this API compare
	encoder := base64.NewEncoder(base64.StdEncoding, out)
	if err := b.document.writeTo(io.MultiWriter(encoder, digest)); err != nil {
		return err
	}
	encoder.Close()
	out.Write(b.beforeDigest)
	out.WriteString(hex.EncodeToString(digest.Sum(nil)))
	out.Write(b.afterDigest)
	return out.Flush()
}
