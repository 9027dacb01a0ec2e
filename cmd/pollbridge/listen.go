package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"pollbridge/webhook/signature"

	"github.com/dustin/go-humanize/english"
)

// listenCmd receives webhooks while a receiver is being developed: it shows what
// comes, and whether it can be trusted.
type listenCmd struct {
	Listen    string   `help:"Address to listen on." default:"127.0.0.1:9080"`
	Secret    []string `help:"Key that verifies: a secret whsec_…, or the public half whpk_… of a pair. May be repeated; one that fits is enough." required:"" sep:"none" placeholder:"whsec_…"`
	Status    int      `help:"Status to answer verified webhooks with." default:"204" placeholder:"204"`
	FailEvery int      `help:"Fail every N-th verified webhook, to see retries: with --status if that is a failure, else with 500." placeholder:"N"`
}

// Help is shown by --help below the summary.
func (listenCmd) Help() string {
	return "Verified webhooks are answered 204, others 401. A secret on the command line shows in the list of processes: use one that is for development only."
}

// Validate reports what the types of the flags cannot, every mistake at once. It
// repeats no secret.
func (c *listenCmd) Validate() error {
	var mistakes []error
	for _, key := range c.Secret {
		if err := checkKey(key); err != nil {
			mistakes = append(mistakes, fmt.Errorf("--secret: %w", err))
		}
	}
	if c.Status < 200 || c.Status > 599 {
		mistakes = append(mistakes, fmt.Errorf("--status: %d is not an HTTP status; accepted: 200 to 599", c.Status))
	}
	if c.FailEvery < 0 {
		mistakes = append(mistakes, fmt.Errorf("--fail-every: %d is negative; accepted: 1 for every one, 2 for every second one, 0 for none", c.FailEvery))
	}
	return errors.Join(mistakes...)
}

// checkKey tells what is wrong with a key, without showing it.
func checkKey(key string) error {
	if strings.HasPrefix(key, "whsk_") {
		return errors.New("whsk_… is the private half, which only the sender may have; accepted: its public half whpk_…, or a secret whsec_…")
	}
	probe := http.Header{signature.HeaderID: {"probe"}, signature.HeaderTimestamp: {"0"}, signature.HeaderSignature: {"v1,"}}
	if err := signature.Verify(probe, nil, time.Unix(0, 0), key); !errors.Is(err, signature.ErrMismatch) {
		return errors.New("not a key (the value is not shown); accepted: whsec_ and the base64 of 24 to 64 bytes, or whpk_ and that of 32")
	}
	return nil
}

// Run serves until ctx ends and returns within two seconds of it.
func (c *listenCmd) Run(ctx context.Context, out io.Writer) error {
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %q: %w; accepted: a free address such as 127.0.0.1:9080 or :9080", c.Listen, err)
	}
	began := time.Now()
	fmt.Fprintf(out, "Listening for webhooks on %s, on any path. Ctrl-C stops.\n", localURL(listener.Addr().String()))
	if tcp, ok := listener.Addr().(*net.TCPAddr); ok && tcp.IP.IsLoopback() {
		fmt.Fprintf(out, "For pollbridge to send here, its configuration needs:\n\n"+
			"    webhook: {allow_http: true, allow_networks: [127.0.0.0/8], allow_ports: [443, 8443, %d]}\n\n", tcp.Port)
	}
	b := newWebhookInbox(c, out)
	err = serveUntil(ctx, &http.Server{Handler: b, ReadTimeout: 5 * time.Minute}, listener)
	b.mu.Lock() // one that is late may still be printed
	defer b.mu.Unlock()
	fmt.Fprintf(out, "Stopped after %s: %s, %d verified, %d of them seen before, %d not verified.\n",
		toMillisecond(time.Since(began)), english.Plural(b.verified+b.refused, "webhook", ""), b.verified, b.repeated, b.refused)
	return err
}
