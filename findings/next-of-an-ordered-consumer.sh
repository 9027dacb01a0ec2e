#!/bin/sh
# Next of an ordered consumer's iterator may not return for as long as a server of the cluster is
# away, whatever bound it is given. When heartbeats are missing the client makes another consumer,
# within Next, and neither NextMaxWait nor the context of NextContext holds meanwhile. The servers may
# choose the one that does not answer for that, too: each third consumer goes there until they count it
# as gone. The client waits 10 s for the answer and asks again, any number of times, but for the same
# name, and what has that name has its place already. So Next waits for that server, says nothing, and
# whoever follows a bucket or a stream is told of nothing more, though two servers of three go on. To be
# bounded, read by plain consumers without acknowledgement, and make another one, by another name,
# when heartbeats are missing.
#
# github.com/nats-io/nats-server/v2 v2.15.2, three servers as processes; github.com/nats-io/nats.go
# v1.55.0. 36 ordered consumers wait in calls of Next with NextMaxWait(6 s) and heartbeats each
# second, and 36 plain ones beside them; then one server, which is not the one that they are connected
# to, nor the leader of the stream or of the cluster, is stopped (SIGSTOP). It is looked at a minute later.
# Seen: 3 to 7 of 36 ordered ones are still in a call of Next that began before; no plain one is.
#
# Fails if no ordered one is, or a plain one is.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > main.go <<'GO'
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
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

// within calls f until it succeeds.
func within(f func(context.Context) error) {
	var err error
	for range 60 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err = f(ctx)
		cancel()
		if err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	check(err)
}

const bound = 6 * time.Second

// overdue waits for messages for a minute, and returns how many iterators then have been in a call of
// Next for much longer than they should.
func overdue(iterators []jetstream.MessagesContext) <-chan int {
	left := make([]atomic.Int64, len(iterators)) // when the call began; 0: it is over
	stop := time.Now().Add(time.Minute)
	for i, messages := range iterators {
		go func() {
			for time.Now().Before(stop) {
				left[i].Store(time.Now().UnixNano())
				_, err := messages.Next(jetstream.NextMaxWait(bound))
				left[i].Store(0)
				if err != nil && err != nats.ErrTimeout {
					return // a plain one says that heartbeats are missing
				}
			}
		}()
	}
	told := make(chan int, 1)
	time.AfterFunc(time.Minute, func() {
		n := 0
		for i := range left {
			if began := left[i].Load(); began != 0 && time.Since(time.Unix(0, began)) > 2*bound {
				n++
			}
		}
		told <- n
	})
	return told
}

func main() {
	p := ports(9)
	var routes []string
	for i := range 3 {
		routes = append(routes, fmt.Sprint("nats://127.0.0.1:", p[3+i]))
	}
	for i := range 3 {
		conf := fmt.Sprintf("server_name: n%d\nlisten: \"127.0.0.1:%d\"\nhttp: \"127.0.0.1:%d\"\njetstream {store_dir: \"data%d\"}\ncluster {name: c, listen: \"127.0.0.1:%d\", routes: [%s], no_advertise: true}\n",
			i, p[i], p[6+i], i, p[3+i], strings.Join(routes, ", "))
		check(os.WriteFile(fmt.Sprint("conf", i), []byte(conf), 0o600))
		s := exec.Command("./nats-server", "-c", fmt.Sprint("conf", i))
		check(s.Start())
		servers = append(servers, s)
	}
	var conns [3]jetstream.JetStream
	for i := range 3 {
		within(func(context.Context) error {
			nc, err := nats.Connect(fmt.Sprint("nats://127.0.0.1:", p[i]))
			if err != nil {
				return err
			}
			conns[i], err = jetstream.New(nc)
			return err
		})
	}
	var leader string
	within(func(ctx context.Context) error {
		s, err := conns[0].CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "s", Subjects: []string{"s.>"}, Replicas: 3})
		if err != nil {
			return err
		}
		leader = s.CachedInfo().Cluster.Leader
		return nil
	})
	meta := ""
	within(func(context.Context) error {
		answer, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/jsz", p[6]))
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		var about struct {
			Meta struct {
				Leader string `json:"leader"`
			} `json:"meta_cluster"`
		}
		if err := json.NewDecoder(answer.Body).Decode(&about); err != nil {
			return err
		}
		if meta = about.Meta.Leader; meta == "" {
			return fmt.Errorf("no leader")
		}
		return nil
	})
	at, silent := 0, 0
	for i := range 3 {
		switch name := fmt.Sprint("n", i); {
		case name == leader:
			at = i
		case name != meta:
			silent = i
		}
	}
	ctx := context.Background()
	options := []jetstream.PullMessagesOpt{jetstream.PullHeartbeat(time.Second), jetstream.PullExpiry(5 * time.Second)}
	var ordered, plain []jetstream.MessagesContext
	for range 36 {
		one, err := conns[at].OrderedConsumer(ctx, "s", jetstream.OrderedConsumerConfig{})
		check(err)
		messages, err := one.Messages(options...)
		check(err)
		ordered = append(ordered, messages)
		other, err := conns[at].CreateConsumer(ctx, "s", jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute})
		check(err)
		messages, err = other.Messages(options...)
		check(err)
		plain = append(plain, messages)
	}
	check(servers[silent].Process.Signal(syscall.SIGSTOP))
	ofOrdered, ofPlain := overdue(ordered), overdue(plain)
	nOrdered, nPlain := <-ofOrdered, <-ofPlain
	fmt.Printf("a minute later %d of 36 ordered consumers are in a call of Next bounded to %v, and %d of 36 plain ones\n", nOrdered, bound, nPlain)
	if nOrdered == 0 || nPlain != 0 {
		fmt.Println("changed")
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
