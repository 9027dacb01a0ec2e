// Command receiver takes webhooks, verifies them and stores each once, as a file in the
// folder INBOX (which has to be there). Run it with
//
//	WEBHOOK_SECRET=whsec_… INBOX=inbox PORT=9081 go run .
package main

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const mostBody = 64 << 20 // bytes; 1 MiB is plenty without include_file

var safeID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)

func main() {
	// With an empty key anybody can sign: not every version of the package minds.
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(os.Getenv("WEBHOOK_SECRET"), "whsec_"))
	if err != nil || len(key) < 24 {
		log.Fatal("WEBHOOK_SECRET must be the secret of the subscription, whsec_…")
	}
	verifier, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		log.Fatal(err)
	}
	inbox := cmp.Or(os.Getenv("INBOX"), ".")
	http.HandleFunc("POST /webhooks", func(w http.ResponseWriter, r *http.Request) {
		// The bytes as they came: JSON that was decoded and encoded again has another signature.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBody))
		if err != nil {
			return
		}
		if err := verifier.Verify(body, r.Header); err != nil {
			http.Error(w, "not verified", http.StatusUnauthorized)
			return
		}
		// 2xx only once it is stored: pollbridge then forgets it.
		if err := store(inbox, r.Header.Get("webhook-id"), body); err != nil {
			log.Print(err)
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
		// The work itself is done by somebody else, who reads the inbox.
	})
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on http://%s/webhooks\n", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}

// store keeps a webhook under its id: one that comes twice is there once. Instead of
// files, take a table whose key is the id.
func store(inbox, id string, body []byte) error {
	if !safeID.MatchString(id) {
		return errors.New("the id is not a file name")
	}
	file, err := os.CreateTemp(inbox, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.Write(body)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), filepath.Join(inbox, id+".json"))
}
