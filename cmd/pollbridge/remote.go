package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pollbridge/admin/api"
	"pollbridge/config"
	"pollbridge/internal/check"
)

// remote are the flags with which a command finds a running bridge and the key to its
// management API.
type remote struct {
	Server  *string `placeholder:"URL" help:"Management API of the bridge. Left out: the one of this machine (admin.listen)."`
	KeyFile *string `placeholder:"FILE" xor:"key" help:"File with a key of the bridge, - for standard input. Left out: POLLBRIDGE_ADMIN_KEY, else admin.keys, else DATA_DIR/admin.key."`
	Key     *string `placeholder:"KEY" xor:"key" help:"The key itself. It shows in the list of processes: prefer the file or the variable."`
	CAFile  *string `name:"ca-file" placeholder:"FILE" help:"PEM: trust these authorities instead of the system's, for https."`
	Config  string  `placeholder:"FILE" help:"The file with settings that the bridge was started with."`
	DataDir *string `placeholder:"DIR" help:"The directory that the bridge was started with (store.dir)."`
	JSON    bool    `name:"json" help:"Print JSON for programs: an object a line, as the API has it."`

	located *config.Config // once settings were read
}

// server is a bridge as a command sees it.
type server struct {
	*api.Client
	url string
	key string // where the key is from
}

// call finds the bridge, has do ask it, and explains what went wrong.
func (r *remote) call(s *streams, do func(*server, printer) error) error {
	to, err := r.connect(s)
	if err != nil {
		return err
	}
	if err = do(to, printer{s.out, s.errOut, r.JSON}); err != nil {
		return to.explained(err)
	}
	return nil
}

func (r *remote) connect(s *streams) (*server, error) {
	address, err := r.address()
	if err != nil {
		return nil, err
	}
	key, from, err := r.findKey(s)
	if err != nil {
		return nil, err
	}
	transport, err := r.transport()
	if err != nil {
		return nil, err
	}
	health, _ := url.JoinPath(address, "healthz") // what is no URL is refused below
	client, err := api.New(address, key, &http.Client{
		Transport:     &introduced{next: transport, health: health},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the key is for this server
	})
	if err != nil {
		return nil, check.Mistake{Key: "--server", Problem: "want a URL such as http://127.0.0.1:8090"}
	}
	return &server{client, address, from}, nil
}

// settings are those that a bridge on this machine was started with, as far as they can be
// known here.
func (r *remote) settings() (*config.Config, error) {
	if r.located == nil {
		var flags []config.Flag
		if r.DataDir != nil {
			flags = append(flags, config.Flag{Name: "--data-dir", Key: "store.dir", Value: *r.DataDir})
		}
		found, err := config.Locate(config.Sources{File: r.Config, Env: os.Environ(), Flags: flags})
		if err != nil {
			return nil, err
		}
		r.located = found
	}
	return r.located, nil
}

func (r *remote) address() (string, error) {
	if r.Server != nil {
		return *r.Server, nil
	}
	settings, err := r.settings()
	if err != nil {
		return "", err
	}
	listen := settings.Admin.Listen
	if _, port, _ := net.SplitHostPort(listen); port == "0" {
		return "", check.Mistake{Key: "--server", Problem: "is needed, as admin.listen leaves the port to the system"}
	}
	address := localURL(listen)
	if settings.Admin.TLS.CertFile != "" {
		address = strings.Replace(address, "http:", "https:", 1)
	}
	return address, nil
}

// findKey returns the key, and where it is from.
func (r *remote) findKey(s *streams) (key, from string, err error) {
	switch {
	case r.Key != nil:
		fmt.Fprintln(s.errOut, "pollbridge: --key shows in the list of processes; --key-file and POLLBRIDGE_ADMIN_KEY do not")
		key, err = secretLine("--key", *r.Key)
		return key, "--key", err
	case r.KeyFile != nil:
		key, err = readSecret(s.in, "--key-file", *r.KeyFile)
		return key, "--key-file", err
	case os.Getenv(adminKeyVariable) != "":
		key, err = secretLine(adminKeyVariable, os.Getenv(adminKeyVariable))
		return key, adminKeyVariable, err
	}
	settings, err := r.settings()
	if err != nil {
		return "", "", err
	}
	if keys := settings.Admin.Keys; len(keys) > 0 {
		return keys[0], "admin.keys", nil
	}
	path, _ := filepath.Abs(filepath.Join(settings.Store.Engine.Dir, "admin.key"))
	text, err := os.ReadFile(path)
	if err != nil {
		return "", "", check.Mistake{Key: "--key-file", Problem: fmt.Sprintf(
			"is needed, as %s cannot be read: %v; the bridge made its key there if --data-dir is where it stores things, else it has those of admin.keys or %s",
			path, check.Reason(err), adminKeyVariable)}
	}
	key, err = secretLine(path, string(text))
	return key, path, err
}

const adminKeyVariable = "POLLBRIDGE_ADMIN_KEY"

// transport uses no proxy, whatever the environment names: the key is for the bridge.
func (r *remote) transport() (*http.Transport, error) {
	t := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 2 * time.Minute, // a test waits for webhook.timeout
	}
	if r.CAFile != nil {
		pool, err := check.Authorities(*r.CAFile, nil)
		if err != nil {
			return nil, check.Mistake{Key: "--ca-file", Value: *r.CAFile, Problem: fmt.Sprintf("want a PEM file with at least one certificate, but: %v", err)}
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	return t, nil
}

// explanation is an error in the words of who typed the command. What came from the server
// is in it without what would move a cursor.
type explanation struct {
	text string
	err  error
}

func (e *explanation) Error() string { return e.text }
func (e *explanation) Unwrap() error { return e.err }

// explained says what is wrong and what to do about it.
func (s *server) explained(err error) error {
	var text string
	problem, answered := errors.AsType[*api.Problem](err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	unreached, isUnreached := errors.AsType[*url.Error](err)
	_, stranger := errors.AsType[*strangerError](err)
	_, noJSON := errors.AsType[*json.SyntaxError](err)
	_, otherJSON := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case errors.Is(err, context.Canceled):
		text = "interrupted"
	case answered && problem.Status == http.StatusUnauthorized:
		text = fmt.Sprintf("the key (from %s) is refused by %s: a bridge accepts those of its admin.keys and %s or, if it has none, the one in admin.key in its data directory; --key-file names a file",
			s.key, s.url, adminKeyVariable)
	case stranger:
		text = fmt.Sprintf("what answers at %s is no management API of a bridge: %v; the key was not sent; --server wants the address of its admin.listen", s.url, unreached.Err)
	case answered && problem.Detail == "", noJSON, otherJSON:
		text = fmt.Sprintf("what answers at %s is not the management API of a bridge: %v; --server takes the address of its admin.listen", s.url, err)
	case answered && refused(err):
		text = refusal(problem)
	case answered:
		text = "the bridge could not do it: " + problem.Error()
	case untrusted:
		text = fmt.Sprintf("the certificate of %s is not trusted: %v; --ca-file names who is", s.url, unreached.Err)
	case isUnreached:
		text = fmt.Sprintf("the bridge cannot be reached at %s: %v; is it running? --server names another address", s.url, unreached.Err)
	default:
		return err
	}
	return &explanation{printable(text), err}
}

// refusal names what is wrong as the command line does: without the part of the request
// that it is in.
func refusal(p *api.Problem) string {
	if len(p.Errors) == 0 {
		return "refused: " + p.Detail
	}
	var wrong []string
	for _, field := range p.Errors {
		_, name, _ := strings.Cut(field.Location, ".")
		wrong = append(wrong, name+": "+field.Message)
	}
	return "refused: " + strings.Join(wrong, "; ")
}
