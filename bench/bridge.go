package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// adminKey opens the management API.
const adminKey = "bench-management-key"

// serveArguments are those of a build of pollbridge, which gets its settings by
// environment.
func serveArguments(s *server) (arguments []string, err error) {
	s.admin, err = freeAddress()
	for _, setting := range []string{"UPSTREAM_URL=http://" + s.upstreamAddress, "LISTEN=" + s.address,
		"ADMIN_LISTEN=" + s.admin, "ADMIN_KEY=" + adminKey, "STORE_DIR=" + filepath.Join(s.dir, "data")} {
		s.env = append(s.env, "POLLBRIDGE_"+setting)
	}
	return []string{"serve"}, err
}

func (s *server) isReady() func(context.Context) error {
	return answersOK("http://" + s.admin + "/readyz")
}

// startWatching starts a build of pollbridge with a receiver that has subscribed to
// everything, so that each session is watched from the first poll of a client on.
func (b *bench) startWatching(ctx context.Context, name string, a api, settings ...string) (*server, error) {
	r, err := newReceiver(a.sessions)
	if err != nil {
		return nil, err
	}
	b.onClose(r.close)
	s, err := b.startServer(ctx, name, a, append(settings, r.settings()...)...)
	if err != nil {
		return nil, err
	}
	return s, s.subscribe(ctx, r)
}

// settings let webhooks go to the receiver.
func (r *receiver) settings() []string {
	_, port, _ := strings.Cut(r.address, ":")
	return []string{"WEBHOOK_ALLOW_HTTP=true", "WEBHOOK_ALLOW_NETWORKS=127.0.0.0/8", "WEBHOOK_ALLOW_PORTS=" + port, "WEBHOOK_CONCURRENCY=32"}
}

// subscribe has a receiver told of everything.
func (s *server) subscribe(ctx context.Context, r *receiver) error {
	s.receiver = r
	_, err := s.manage(ctx, http.MethodPost, "/v1/subscriptions", fmt.Sprintf(`{"url":"http://%s/hook"}`, r.address))
	return err
}

// manage makes a request to the admin listener and returns what it answered.
func (s *server) manage(ctx context.Context, method, path, body string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+s.admin+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+adminKey)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %.200s", method, path, response.Status, answer)
	}
	return answer, err
}

// gauge returns one of the metrics, which has no labels.
func (s *server) gauge(ctx context.Context, name string) (float64, error) {
	text, err := s.manage(ctx, http.MethodGet, "/metrics", "")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("there is no metric %s", name)
}

// watch has all sessions watched, by polling each of them once as a client, and
// waits until their first events have come.
func (s *server) watch(ctx context.Context) error { return s.watchAt(ctx, s.address) }

// watchAt is watch, with the clients at other addresses, see newClient.
func (s *server) watchAt(ctx context.Context, addresses string) error {
	sessions := s.upstream.sessions
	s.bench.log("  %s: watching %d sessions", s.name, sessions)
	p := pollPending(ctx, addresses, s.bench.connections, 5*time.Minute, sessions, 1)
	if err := p.err(sessions); err != nil {
		return errors.Join(s.dead(), err)
	}
	return s.awaitCount(ctx, "first events", &s.receiver.events, sessions)
}

// awaitCount waits until something has been counted often enough.
func (s *server) awaitCount(ctx context.Context, what string, counted *atomic.Int64, wanted int) error {
	return s.await(ctx, 5*time.Minute, func(context.Context) error {
		if n := counted.Load(); n < int64(wanted) {
			return fmt.Errorf("%d of %d %s", n, wanted, what)
		}
		return nil
	})
}
