package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"pollbridge/internal/check"
	"pollbridge/webhook/signature"
)

// webhookInbox answers webhooks and prints a block for each.
type webhookInbox struct {
	cmd    *listenCmd
	colour bool

	mu       sync.Mutex
	out      io.Writer          // guarded by mu, as all below
	seen     map[string]receipt // by webhook-id, of those that were verified
	verified int
	refused  int
	repeated int
}

// receipt is what is remembered of a webhook.
type receipt struct {
	first    time.Time
	attempts int
}

const (
	mostWebhook  = 100 << 20 // bytes
	mostReceipts = 10_000
)

func newWebhookInbox(c *listenCmd, out io.Writer) *webhookInbox {
	return &webhookInbox{cmd: c, colour: isTerminal(out) && os.Getenv("NO_COLOR") == "", out: out, seen: map[string]receipt{}}
}

// incoming is a webhook as it came, and what was found out about it.
type incoming struct {
	at      time.Time
	header  http.Header
	body    []byte
	id      string
	by      string // what verified it: v1 or v1a
	problem string // why it is not trusted; empty if it is
	seen    receipt
	status  int // it is answered with
}

// ServeHTTP answers one webhook.
func (b *webhookInbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "pollbridge listen: send webhooks by POST", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostWebhook))
	in := &incoming{at: time.Now(), header: r.Header, body: body, id: r.Header.Get(signature.HeaderID)}
	switch _, tooLarge := errors.AsType[*http.MaxBytesError](err); {
	case tooLarge:
		in.problem, in.status = "the body is larger than 100 MiB", http.StatusRequestEntityTooLarge
	case err != nil:
		in.problem, in.status = "the body was cut off", http.StatusBadRequest
	default:
		in.by, in.problem = b.verify(in)
	}
	b.receive(in)
	if in.problem != "" {
		http.Error(w, "not verified", in.status)
		return
	}
	w.WriteHeader(in.status)
}

// verify returns the kind of signature that fits, or why none does.
func (b *webhookInbox) verify(in *incoming) (by, problem string) {
	for _, name := range []string{signature.HeaderID, signature.HeaderTimestamp, signature.HeaderSignature} {
		if in.header.Get(name) == "" {
			return "", "the header " + strings.ToLower(name) + " is missing"
		}
	}
	seconds, err := strconv.ParseInt(in.header.Get(signature.HeaderTimestamp), 10, 64)
	if err != nil {
		return "", "webhook-timestamp is not a number of seconds: " + plain(in.header.Get(signature.HeaderTimestamp))
	}
	for _, key := range b.cmd.Secret {
		err = signature.Verify(in.header, in.body, in.at, key)
		if err == nil {
			return signatureKind(key), ""
		}
		if errors.Is(err, signature.ErrTimestamp) {
			return "", misdated(in.at.Sub(time.Unix(seconds, 0)))
		}
	}
	return "", b.mismatch(in)
}

func signatureKind(key string) string {
	if strings.HasPrefix(key, "whpk_") {
		return "v1a"
	}
	return "v1"
}

func misdated(age time.Duration) string {
	where := "in the past: delayed or replayed"
	if age < 0 {
		where = "in the future: one of the clocks is wrong"
	}
	return fmt.Sprintf("the signature is valid, but webhook-timestamp is %s %s; at most %s is accepted", check.Text(age.Abs().Round(time.Second)), where, check.Text(signature.Tolerance))
}

// mismatch guesses why no signature fits: the signature itself cannot tell.
func (b *webhookInbox) mismatch(in *incoming) string {
	if missing := b.otherKind(in.header.Get(signature.HeaderSignature)); missing != "" {
		return missing
	}
	var compact bytes.Buffer
	if json.Compact(&compact, in.body) == nil && !bytes.Equal(compact.Bytes(), in.body) {
		for _, key := range b.cmd.Secret {
			if signature.Verify(in.header, compact.Bytes(), in.at, key) == nil {
				return "the body was changed on the way: its white space differs from what was signed; verify the bytes as they came, not JSON that was encoded again"
			}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.verified > 0 {
		return "no signature matches, although the secret has verified others: the body, webhook-id or webhook-timestamp was changed on the way, or another subscription sent it"
	}
	return "no signature matches: the secret is not the subscription's, or the body was changed on the way"
}

// otherKind tells if all signatures are of a kind that there is no key for.
func (b *webhookInbox) otherKind(signatures string) string {
	signed := func(kind string) bool { return strings.Contains(" "+signatures, " "+kind+",") }
	switch {
	case slices.ContainsFunc(b.cmd.Secret, func(key string) bool { return signed(signatureKind(key)) }):
		return ""
	case signed("v1a"):
		return "it is signed with v1a only: --secret must be the public key whpk_…"
	case signed("v1"):
		return "it is signed with v1 only: --secret must be the secret whsec_…"
	}
	return "webhook-signature has no known kind of signature: " + plain(signatures)
}

// receive decides how a webhook is answered, remembers it and prints it.
func (b *webhookInbox) receive(in *incoming) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if in.problem != "" {
		b.refused++
		in.status = cmp.Or(in.status, http.StatusUnauthorized)
	} else {
		b.verified++
		b.rememberLocked(in)
		in.status = b.nextStatusLocked()
	}
	io.WriteString(b.out, webhookBlock(in, b.colour))
}

func (b *webhookInbox) nextStatusLocked() int {
	switch {
	case b.cmd.FailEvery == 0:
		return b.cmd.Status
	case b.cmd.Status < 300 && b.verified%b.cmd.FailEvery == 0:
		return http.StatusInternalServerError
	case b.cmd.Status >= 300 && b.verified%b.cmd.FailEvery != 0:
		return http.StatusNoContent
	}
	return b.cmd.Status
}

func (b *webhookInbox) rememberLocked(in *incoming) {
	known, again := b.seen[in.id]
	if again {
		b.repeated++
	} else {
		known.first = in.at
	}
	if len(b.seen) >= mostReceipts {
		clear(b.seen)
	}
	known.attempts++
	b.seen[in.id], in.seen = known, known
}
