package main

import (
	"context"
	"path/filepath"
)

// startPollbridge starts pollbridge with its default settings.
func startPollbridge(ctx context.Context, l *lab, j job) (*server, error) {
	dir, err := l.folder(pollbridge)
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	admin, err := freeAddress()
	if err != nil {
		return nil, err
	}
	argv := []string{
		l.pollbridge, "serve",
		"--upstream", "http://" + j.upstream,
		"--listen", address,
		"--admin-listen", admin,
		"--data-dir", filepath.Join(dir, "data"),
	}
	p, err := l.start(pollbridge, dir, argv, environmentWithout("POLLBRIDGE_"))
	if err != nil {
		return nil, err
	}
	return &server{process: p, address: address}, waitUntil(ctx, p, answersOK("http://"+admin+"/readyz"))
}
