package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// startVarnish starts Varnish as a cache of polls.
func startVarnish(ctx context.Context, l *lab, j job) (*server, error) {
	dir, err := l.folder("varnish")
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "status.vcl")
	if err := writeVCL(config, j, l.varnishReadsBody); err != nil {
		return nil, err
	}
	argv := append([]string{l.varnish, "-F", "-a", address, "-f", config}, varnishFlags(filepath.Join(dir, "run"))...)
	p, err := l.start(varnish, dir, argv, os.Environ())
	if err != nil {
		return nil, err
	}
	return &server{process: p, address: address}, waitUntil(ctx, p, accepts(address))
}

// varnishFlags keeps Varnish out of the system's own folders and accounts.
func varnishFlags(workdir string) []string {
	return []string{"-j", "none", "-n", workdir, "-s", "malloc,256m"}
}

func writeVCL(path string, j job, readsBody bool) error {
	host, port, err := net.SplitHostPort(j.upstream)
	if err != nil {
		return err
	}
	return writeTemplate(path, "status.vcl", map[string]any{
		"Host":      host,
		"Port":      port,
		"FreshFor":  int(j.freshFor.Seconds()),
		"ReadsBody": readsBody,
	})
}

// varnishCompiles tells whether this Varnish takes the configuration that
// reads request bodies, for which it needs a module of another package.
func varnishCompiles(ctx context.Context, program, dir string) bool {
	config := filepath.Join(dir, "probe.vcl")
	if err := writeVCL(config, job{upstream: "127.0.0.1:1"}, true); err != nil {
		return false
	}
	argv := append([]string{"-C", "-f", config}, varnishFlags(filepath.Join(dir, "varnish-probe"))...)
	return exec.CommandContext(ctx, program, argv...).Run() == nil
}
