package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// size is the number of NATS servers, and that of replicas.
const size = 3

// fleet is what runs.
type fleet struct {
	dir, upstream string
	out           io.Writer
	servers       []*process
	replicas      []*process
	public        []string // addresses of the replicas
	private       []string
}

// start returns when all replicas are ready, or ctx has ended. The caller must stop the fleet, after
// an error too.
func (f *fleet) start(ctx context.Context) error {
	if err := f.build(ctx); err != nil {
		return err
	}
	ports, err := freePorts(4 * size)
	if err != nil {
		return err
	}
	if err := f.startServers(ports[:size], ports[size:2*size]); err != nil {
		return err
	}
	f.public, f.private = ports[2*size:3*size], ports[3*size:]
	if err := f.startReplicas(ports[:size]); err != nil {
		return err
	}
	for i, r := range f.replicas {
		if err := r.ready(ctx, "http://"+f.private[i]); err != nil {
			return err
		}
		fmt.Fprintf(f.out, "%s  http://%s, management on http://%s, process %d\n", r.name, f.public[i], f.private[i], r.cmd.Process.Pid)
	}
	return nil
}

// build builds the program of this checkout, and the NATS server that its go.mod names.
func (f *fleet) build(ctx context.Context) error {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", f.dir+string(filepath.Separator), "./cmd/pollbridge", "github.com/nats-io/nats-server/v2")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(build.Args, " "), err)
	}
	return nil
}

// startServers starts NATS servers, which listen at addresses for clients and for each other.
func (f *fleet) startServers(clients, routes []string) error {
	for i := range size {
		host, port, _ := net.SplitHostPort(clients[i])
		name := fmt.Sprint("nats-", i+1)
		p, err := f.startProcess(name, nil, "nats-server", "--name", name, "--addr", host, "--port", port, "--jetstream", "--store_dir", filepath.Join(f.dir, name),
			"--cluster_name", "local", "--cluster", "nats://"+routes[i], "--routes", urls(routes))
		if err != nil {
			return err
		}
		f.servers = append(f.servers, p)
	}
	return nil
}

func (f *fleet) startReplicas(servers []string) error {
	if _, err := f.key("store.key"); err != nil {
		return err
	}
	adminKey, err := f.key("admin.key")
	if err != nil {
		return err
	}
	for i := range size {
		p, err := f.startProcess(fmt.Sprint("pollbridge-", i+1), []string{
			"POLLBRIDGE_UPSTREAM_URL=" + f.upstream, "POLLBRIDGE_LISTEN=" + f.public[i], "POLLBRIDGE_ADMIN_LISTEN=" + f.private[i], "POLLBRIDGE_ADMIN_KEY=" + adminKey,
			"POLLBRIDGE_STORE_NATS_URL=" + urls(servers), "POLLBRIDGE_STORE_ENCRYPTION_KEY_FILE=" + filepath.Join(f.dir, "store.key"),
		}, "pollbridge", "serve")
		if err != nil {
			return err
		}
		f.replicas = append(f.replicas, p)
	}
	return nil
}

func urls(addresses []string) string { return "nats://" + strings.Join(addresses, ",nats://") }

// key returns what is in a file, 32 random bytes in hex, which it makes if it is not there.
func (f *fleet) key(file string) (string, error) {
	path := filepath.Join(f.dir, file)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		var random [32]byte
		rand.Read(random[:]) // never fails
		text = hex.AppendEncode(nil, random[:])
		err = os.WriteFile(path, text, 0o600)
	}
	return string(text), err
}

// freePorts returns addresses on loopback that nobody listens at.
func freePorts(n int) (addresses []string, err error) {
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close() // when all are found, so that no two are the same
		addresses = append(addresses, ln.Addr().String())
	}
	return addresses, nil
}

// stop ends the replicas, which use the servers to the last, and then these.
func (f *fleet) stop() {
	for _, processes := range [][]*process{f.replicas, f.servers} {
		for _, p := range processes {
			p.terminate()
		}
		for _, p := range processes {
			<-p.ended
		}
	}
}
