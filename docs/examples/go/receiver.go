// Command receiver takes webhooks, verifies them and stores each once.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const mostBody = 64 << 20 // bytes; 1 MiB is plenty without include_file

var safeID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)

func main() {
	verifier, err := standardwebhooks.NewWebhook(os.Getenv("WEBHOOK_SECRET")) // whsec_…
	if err != nil {
		log.Fatal("WEBHOOK_SECRET is no secret")
	}
	inbox := os.Getenv("INBOX")
	http.HandleFunc("POST /webhooks", func(w http.ResponseWriter, r *http.Request) {
		// The bytes as they came: JSON that was decoded and encoded anew has another signature.
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
		return errors.New("the id is no file name")
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
