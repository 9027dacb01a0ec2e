package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strconv"
)

// The sessions that the load asks for are numbered, so that the wrk script,
// which is Lua, the bare server, which is another process, and the Go client all
// know the same ones without a list.
const (
	statusPrefix = "/smartid/sign/status/"
	statusSuffix = ".json"
	tokenPrefix  = "5e55"
	tokenFormat  = tokenPrefix + "%028x"
	statusFormat = statusPrefix + tokenFormat + statusSuffix

	// credential is made up; its form is what the signing API hands out.
	credential = "0b5e55ed-0000-4000-8000-c0ffee000001"
	statusBody = `{"access_token":"` + credential + `"}`

	pendingAnswer = `{"status":"waiting"}`
)

// statusPath returns the path that a session is polled at.
func statusPath(session int) string { return fmt.Sprintf(statusFormat, session) }

// sessionOf returns the number of the session that a path is about.
func sessionOf(path []byte) (int, bool) {
	token, found := bytes.CutPrefix(path, []byte(statusPrefix))
	token, isStatus := bytes.CutSuffix(token, []byte(statusSuffix))
	if !found || !isStatus {
		return 0, false
	}
	return sessionOfToken(token)
}

func sessionOfToken(token []byte) (int, bool) {
	digits, found := bytes.CutPrefix(token, []byte(tokenPrefix))
	n, err := strconv.ParseInt(string(digits), 16, 32)
	return int(n), found && err == nil
}

// finalAnswers returns the final answers of sessions whose document has a size
// in bytes: alike but for a number, and the same at every call.
func finalAnswers(size int) func(session int) []byte {
	document := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{'f', 'i', 'n', 'a', 'l'}).Read(document) // never fails
	content := base64.StdEncoding.EncodeToString(document)
	return func(session int) []byte {
		return fmt.Appendf(nil, `{"status":"ok","signature_id":"%08d","file":{"name":"contract_signed.pdf","content":"%s","digest":"5e55"},`+
			`"person":{"name":"Ona","surname":"Example"},"sanctions_data":[],"peps_data":[]}`, session, content)
	}
}
