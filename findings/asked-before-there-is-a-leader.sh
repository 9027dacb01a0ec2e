#!/bin/sh
# A server of a NATS cluster that has just been started takes connections before the cluster has a
# leader. What it is asked of JetStream's API then it neither answers nor refuses, and keeps for
# nobody: there is no "no responders", no error 10008 ("temporarily unavailable"), which comes later
# only, and no answer once there is a leader. So a program that starts together with its servers
# waits out its whole deadline, however long that is, while the next request is answered in a
# millisecond: ask with a short deadline, and again.
#
# github.com/nats-io/nats-server/v2 v2.15.2, three servers as processes; github.com/nats-io/nats.go
# v1.55.0. One server is started, asked about the account with a deadline of 40 s, and then the
# other two are started.
# Seen: the first request fails after 40 s with "context deadline exceeded"; requests with a deadline
# of 1 s succeed from 2 s on.
#
# Fails if the first request is answered or refused, or none of the others is answered.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var servers []*exec.Cmd

func check(err error) {
	if err != nil {
		fmt.Println("cannot try:", err)
		end(2)
	}
}

func end(code int) {
	for _, s := range servers {
		s.Process.Kill()
		s.Wait()
	}
	os.Exit(code)
}

func ports(n int) (ports []int) {
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		check(err)
		defer ln.Close()
		ports = append(ports, ln.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

func main() {
	p := ports(6)
	var routes []string
	for i := range 3 {
		routes = append(routes, fmt.Sprint("nats://127.0.0.1:", p[3+i]))
	}
	start := func(i int) {
		conf := fmt.Sprintf("server_name: n%d\nlisten: \"127.0.0.1:%d\"\njetstream {store_dir: \"data%d\"}\ncluster {name: c, listen: \"127.0.0.1:%d\", routes: [%s], no_advertise: true}\n",
			i, p[i], i, p[3+i], strings.Join(routes, ", "))
		check(os.WriteFile(fmt.Sprint("conf", i), []byte(conf), 0o600))
		s := exec.Command("./nats-server", "-c", fmt.Sprint("conf", i))
		check(s.Start())
		servers = append(servers, s)
	}
	start(0)
	var nc *nats.Conn
	var err error
	for range 100 {
		if nc, err = nats.Connect(fmt.Sprint("nats://127.0.0.1:", p[0])); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	check(err)
	js, err := jetstream.New(nc)
	check(err)
	began := time.Now()
	since := func() time.Duration { return time.Since(began).Round(100 * time.Millisecond) }
	first := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
		defer cancel()
		_, err := js.AccountInfo(ctx)
		fmt.Printf("the first request, after %v: %v\n", since(), err)
		first <- err
	}()
	time.Sleep(time.Second)
	start(1)
	start(2)
	answered := false
	for !answered && since() < 30*time.Second {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err := js.AccountInfo(ctx)
		cancel()
		fmt.Printf("one with a deadline of 1s, after %v: %v\n", since(), err)
		answered = err == nil
		time.Sleep(100 * time.Millisecond)
	}
	if err := <-first; err != context.DeadlineExceeded || !answered {
		fmt.Println("changed: the first request is answered or refused, or no later one is answered")
		end(1)
	}
	end(0)
}
GO
cat > go.mod <<'MOD'
module finding

go 1.25
MOD
cat > tools.go <<'GO'
//go:build tools

package main

import _ "github.com/nats-io/nats-server/v2"
GO
go get github.com/nats-io/nats-server/v2@v2.15.2 github.com/nats-io/nats.go@v1.55.0 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
go build -o nats-server github.com/nats-io/nats-server/v2
go run .
