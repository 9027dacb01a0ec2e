package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// A bridge is pollbridge between a signer and a subscriber that wants to know
// of everything.
type bridge struct {
	*server
	signer     *signer
	subscriber *subscriber
	admin      string
	dir        string // on a disk, removed by stop
	argv       []string
}

// bridgeKey opens the management API.
const bridgeKey = "bench-management-key"

// startBridge starts one. settings are lines of YAML besides those that the
// bench itself needs.
func startBridge(ctx context.Context, l *lab, sessions int, settings string) (b *bridge, err error) {
	b = &bridge{}
	if b.signer, err = newSigner(sessions); err != nil {
		return nil, err
	}
	l.onClose(b.signer.close)
	if b.subscriber, err = newSubscriber(sessions); err != nil {
		return nil, err
	}
	l.onClose(b.subscriber.close)
	// Not in the scratch folder, which may be in memory: a write has to reach a disk.
	if b.dir, err = os.MkdirTemp("", "pollbridge-bench-"); err != nil {
		return nil, err
	}
	l.onClose(func() error { return os.RemoveAll(b.dir) })
	if err := b.launch(ctx, l, settings); err != nil {
		return nil, err
	}
	return b, b.subscribe(ctx)
}

func (b *bridge) launch(ctx context.Context, l *lab, settings string) error {
	_, port, err := net.SplitHostPort(b.subscriber.address)
	if err != nil {
		return err
	}
	config := filepath.Join(b.dir, "pollbridge.yaml")
	text := fmt.Sprintf("webhook: {allow_http: true, allow_networks: [127.0.0.0/8], allow_ports: [%s], concurrency: 32}\n%s", port, settings)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	if b.admin, err = freeAddress(); err != nil {
		return err
	}
	b.argv = []string{
		l.pollbridge, "serve", "--config", config, "--upstream", "http://" + b.signer.address,
		"--listen", address, "--admin-listen", b.admin, "--data-dir", filepath.Join(b.dir, "data"),
	}
	b.server = &server{address: address}
	if err := b.run(l); err != nil {
		return err
	}
	return waitUntil(ctx, b.process, answersOK("http://"+b.admin+"/readyz"))
}

// run starts the process, the first time or after it was killed, and does not wait
// until it is ready.
func (b *bridge) run(l *lab) (err error) {
	b.process, err = l.start(pollbridge, b.dir, b.argv, append(environmentWithout("POLLBRIDGE_"), "POLLBRIDGE_ADMIN_KEY="+bridgeKey))
	return err
}

func (b *bridge) subscribe(ctx context.Context) error {
	_, err := b.manage(ctx, http.MethodPost, "/v1/subscriptions", map[string]any{"url": "http://" + b.subscriber.address + "/hook"})
	return err
}

// manage makes a request to the management API and returns what it answered.
func (b *bridge) manage(ctx context.Context, method, path string, body any) (map[string]any, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+b.admin+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+bridgeKey)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answered, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= 300 {
		return nil, fmt.Errorf("%s %s: %s: %.200s", method, path, response.Status, answered)
	}
	var answer map[string]any
	return answer, json.Unmarshal(answered, &answer)
}

// watch has a number of sessions watched, by polling each of them once as a
// client, and waits until their first events have come.
func (b *bridge) watch(ctx context.Context, l *lab, from, to int) error {
	before := b.subscriber.events.Load()
	polled := pollRange(ctx, b.address, l.connections, 5*time.Minute, from, to)
	if polled.answered != int64(to-from) {
		return errors.Join(ctx.Err(), b.dead(), fmt.Errorf("%d of %d sessions polled; %s", polled.answered, to-from, polled.trouble()))
	}
	return b.await(ctx, "the first events", 5*time.Minute, func() bool { return b.subscriber.events.Load()-before >= int64(to-from) })
}

// await waits until something holds.
func (b *bridge) await(ctx context.Context, what string, most time.Duration, holds func() bool) error {
	limited, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for !holds() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-limited.Done():
			return errors.Join(ctx.Err(), b.dead(), fmt.Errorf("not within %s: %s", most, what))
		}
	}
	return nil
}

func (b *bridge) end() error {
	return errors.Join(b.stop(), b.signer.close(), b.subscriber.close(), os.RemoveAll(b.dir))
}
