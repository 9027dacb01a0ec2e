package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A peer is one of the servers that are compared.
type peer struct {
	name  string
	start func(context.Context, *lab, job) (*server, error)

	// forwards tells that a session it has not seen reaches the upstream, and
	// keysByBody that another credential is another session to it.
	forwards, keysByBody bool
}

// Names as the tables and the bars have them.
const (
	bareFasthttp = "bare fasthttp"
	bareFiber    = "bare Fiber"
	nginx        = "nginx"
	varnish      = "Varnish"
	pollbridge   = "pollbridge"
)

// A job is what a server is started for.
type job struct {
	upstream string // address of the server it stands in front of
	sessions int    // how many will be asked for; bare servers know no others
	answer   []byte // what each of them is answered with
	freshFor time.Duration
}

// A server is a peer that runs.
type server struct {
	*process
	peer    peer
	address string
	up      *upstream // its own, so that requests can be counted per server
}

// statusPeers returns the servers that can answer status requests here.
func statusPeers(l *lab) []peer {
	peers := []peer{
		{name: bareFasthttp, start: startBare("fasthttp")},
		{name: bareFiber, start: startBare("fiber")},
	}
	return append(peers, caches(l)...)
}

// caches returns those that stand in front of an upstream.
func caches(l *lab) []peer {
	var peers []peer
	if l.nginx != "" {
		peers = append(peers, peer{name: nginx, start: startNginxCache, forwards: true, keysByBody: true})
	}
	if l.varnish != "" {
		peers = append(peers, peer{name: varnish, start: startVarnish, forwards: true, keysByBody: l.varnishReadsBody})
	}
	return append(peers, pollbridges(l)...)
}

// proxies returns the servers that pass requests through.
func proxies(l *lab) []peer {
	var peers []peer
	if l.nginx != "" {
		peers = append(peers, peer{name: nginx, start: startNginxPass})
	}
	return append(peers, pollbridges(l)...)
}

// pollbridges returns pollbridge if there is one to measure.
func pollbridges(l *lab) []peer {
	if l.pollbridge == "" {
		return nil
	}
	return []peer{{name: pollbridge, start: startPollbridge, forwards: true, keysByBody: true}}
}

// startAll starts each peer in front of an upstream of its own that answers
// with j.answer. The returned function stops them all.
func startAll(ctx context.Context, l *lab, peers []peer, j job, delay time.Duration) ([]*server, func() error, error) {
	var servers []*server
	var stops []func() error
	stop := func() error {
		var errs []error
		for _, s := range stops {
			errs = append(errs, s())
		}
		return errors.Join(errs...)
	}
	for _, p := range peers {
		s, err := startOne(ctx, l, p, j, delay)
		if err != nil {
			return nil, nil, errors.Join(err, stop())
		}
		stops = append(stops, s.process.stop, s.up.close)
		servers = append(servers, s)
	}
	return servers, stop, nil
}

func startOne(ctx context.Context, l *lab, p peer, j job, delay time.Duration) (*server, error) {
	up, err := newUpstream(j.answer, delay)
	if err != nil {
		return nil, err
	}
	l.onClose(up.close)
	j.upstream = up.address
	s, err := p.start(ctx, l, j)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	s.peer, s.up = p, up
	return s, nil
}
