package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"pollbridge/webhook"
)

// webhookInbox answers webhooks and prints a block for each.
type webhookInbox struct {
	keys      []string
	status    int
	failEvery int
	began     time.Time
	now       func() time.Time

	mu       sync.Mutex
	out      io.Writer // guarded by mu, as all below
	colour   bool
	seen     map[string]*receipt // by webhook-id, of those that were verified
	oldest   []string            // keys of seen
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

func newWebhookInbox(c *listenCmd, out io.Writer, getenv func(string) string) *webhookInbox {
	return &webhookInbox{
		keys: c.Secret, status: c.Status, failEvery: c.FailEvery, began: time.Now(), now: time.Now,
		out: out, colour: takesColour(out, getenv), seen: map[string]*receipt{},
	}
}

func takesColour(out io.Writer, getenv func(string) string) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) && getenv("TERM") != "dumb" && getenv("NO_COLOR") == ""
}

// incoming is a webhook as it came, and what was found out about it.
type incoming struct {
	at      time.Time
	header  http.Header
	body    []byte
	id      string
	by      string // what verified it: v1 or v1a
	problem string // why it is not trusted; empty if it is
	before  *receipt
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
	in := &incoming{at: b.now(), header: r.Header, body: body, id: r.Header.Get(webhook.HeaderID)}
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
	for _, name := range []string{webhook.HeaderID, webhook.HeaderTimestamp, webhook.HeaderSignature} {
		if in.header.Get(name) == "" {
			return "", "the header " + strings.ToLower(name) + " is missing"
		}
	}
	seconds, err := strconv.ParseInt(in.header.Get(webhook.HeaderTimestamp), 10, 64)
	if err != nil {
		return "", "webhook-timestamp is not a number of seconds: " + plain(in.header.Get(webhook.HeaderTimestamp))
	}
	for _, key := range b.keys {
		err = webhook.Verify(in.header, in.body, in.at, key)
		if err == nil {
			return signatureKind(key), ""
		}
		if errors.Is(err, webhook.ErrTimestamp) {
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
	return fmt.Sprintf("the signature is valid, but webhook-timestamp is %s %s; at most %s is accepted", age.Abs().Round(time.Second), where, webhook.Tolerance)
}

// mismatch guesses why no signature fits: the signature itself cannot tell.
func (b *webhookInbox) mismatch(in *incoming) string {
	if missing := b.otherKind(in.header.Get(webhook.HeaderSignature)); missing != "" {
		return missing
	}
	var compact bytes.Buffer
	if json.Compact(&compact, in.body) == nil && !bytes.Equal(compact.Bytes(), in.body) {
		for _, key := range b.keys {
			if webhook.Verify(in.header, compact.Bytes(), in.at, key) == nil {
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
	have, want := map[string]bool{}, map[string]bool{}
	for _, key := range b.keys {
		have[signatureKind(key)] = true
	}
	for signature := range strings.FieldsSeq(signatures) {
		kind, _, _ := strings.Cut(signature, ",")
		if have[kind] {
			return ""
		}
		want[kind] = true
	}
	switch {
	case want["v1a"]:
		return "it is signed with v1a only: --secret must be the public key whpk_…"
	case want["v1"]:
		return "it is signed with v1 only: --secret must be the secret whsec_…"
	}
	return "webhook-signature has no known kind of signature: " + plain(signatures)
}

// receive decides how a webhook is answered, remembers it and prints it.
func (b *webhookInbox) receive(in *incoming) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case in.problem != "":
		b.refused++
		if in.status == 0 {
			in.status = http.StatusUnauthorized
		}
	default:
		b.verified++
		b.rememberLocked(in)
		in.status = b.nextStatusLocked()
	}
	io.WriteString(b.out, webhookBlock(in, b.colour))
}

func (b *webhookInbox) nextStatusLocked() int {
	switch {
	case b.failEvery == 0:
		return b.status
	case b.verified%b.failEvery != 0:
		return http.StatusNoContent
	case b.status < 300:
		return http.StatusInternalServerError
	}
	return b.status
}

func (b *webhookInbox) rememberLocked(in *incoming) {
	if known, ok := b.seen[in.id]; ok {
		b.repeated++
		known.attempts++
		in.before = &receipt{known.first, known.attempts}
		return
	}
	if len(b.oldest) >= mostReceipts {
		delete(b.seen, b.oldest[0])
		b.oldest = b.oldest[1:]
	}
	b.seen[in.id] = &receipt{in.at, 1}
	b.oldest = append(b.oldest, in.id)
}

func (b *webhookInbox) banner(address net.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintf(b.out, "Listening for webhooks on %s, on any path. Ctrl-C stops.\n", simulationURL(address))
	if tcp, ok := address.(*net.TCPAddr); ok && tcp.IP.IsLoopback() {
		fmt.Fprintf(b.out, "For pollbridge to send here, its configuration needs:\n\n"+
			"    webhook: {allow_http: true, allow_networks: [127.0.0.0/8], allow_ports: [443, 8443, %d]}\n\n", tcp.Port)
	}
}

func (b *webhookInbox) summary() {
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintf(b.out, "Stopped after %s: %s, %d verified, %d of them seen before, %d not verified.\n",
		toMillisecond(time.Since(b.began)), counted(int64(b.verified+b.refused), "webhook"), b.verified, b.repeated, b.refused)
}
