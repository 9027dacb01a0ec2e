package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
)

// The sessions that the load asks for are numbered, so that the wrk scripts,
// which are Lua, the bare servers, which are other processes, and the Go load
// generator all know the same ones without a list.
const (
	statusPrefix = "/smartid/sign/status/"
	statusSuffix = ".json"
	tokenFormat  = "5e55%028x"

	// credential is made up; its form is what the signing API hands out.
	credential = "0b5e55ed-0000-4000-8000-c0ffee000001"
	statusBody = `{"access_token":"` + credential + `"}`

	pendingAnswer = `{"status":"waiting"}`
)

// statusPath returns the path that session number n is polled at.
func statusPath(n int) string {
	return statusPrefix + fmt.Sprintf(tokenFormat, n) + statusSuffix
}

// finalAnswer returns the answer of a completed signing of about 1 MB, the
// same at every call.
func finalAnswer() []byte {
	document := make([]byte, 750_000) // 1,000,000 bytes in base64
	seed := [32]byte{'f', 'i', 'n', 'a', 'l'}
	_, _ = rand.NewChaCha8(seed).Read(document) // never fails
	digest := sha256.Sum256(document)
	return fmt.Appendf(nil,
		`{"status":"ok","signature_id":"5e55","file":{"name":"contract_signed.pdf","content":"%s","digest":"%s"},"person":{"name":"Ona","surname":"Example"},"sanctions_data":[],"peps_data":[]}`,
		base64.StdEncoding.EncodeToString(document), hex.EncodeToString(digest[:]))
}
