package main

import (
	"context"
	"os"
	"os/user"
	"path/filepath"
)

// startNginxCache starts nginx as a cache of polls.
func startNginxCache(ctx context.Context, l *lab, j job) (*server, error) {
	return startNginx(ctx, l, j, "nginx_cache.conf")
}

// startNginxPass starts nginx as a proxy that keeps nothing.
func startNginxPass(ctx context.Context, l *lab, j job) (*server, error) {
	return startNginx(ctx, l, j, "nginx_pass.conf")
}

func startNginx(ctx context.Context, l *lab, j job, template string) (*server, error) {
	dir, err := l.folder("nginx")
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	account, err := workerAccount()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "nginx.conf")
	err = writeTemplate(config, template, map[string]any{
		"Account":      account,
		"Listen":       address,
		"Upstream":     j.upstream,
		"StatusPrefix": statusPrefix,
		"FreshFor":     int(j.freshFor.Seconds()),
	})
	if err != nil {
		return nil, err
	}
	p, err := l.start(nginx, dir, []string{l.nginx, "-p", dir, "-e", "stderr", "-c", config}, os.Environ())
	if err != nil {
		return nil, err
	}
	return &server{process: p, address: address}, waitUntil(ctx, p, accepts(address))
}

// workerAccount names the account that nginx's workers must be given for
// them to reach the scratch folder. It is empty unless this is root, whose
// workers would run as nobody.
func workerAccount() (string, error) {
	if os.Geteuid() != 0 {
		return "", nil
	}
	me, err := user.Current()
	if err != nil {
		return "", err
	}
	group, err := user.LookupGroupId(me.Gid)
	if err != nil {
		return "", err
	}
	return me.Username + " " + group.Name, nil
}
