#!/bin/sh
# Whoever drains a pull consumer's iterator in a NATS cluster loses messages until AckWait is over.
# MessagesContext.Drain says that it unsubscribes and that what is buffered is still handed out. But
# what was asked for cannot be taken back, and the server that hands messages out is another one than
# that of the connection: it goes on until the end of the interest has come to it over the route.
# What is sent meanwhile arrives where nobody has that subscription any more. Next returns none of
# it, nobody can Nak it, and it counts as handed out until its AckWait is over: 30 s by default. It
# is worst for those who care, whose workers drain at each deployment. Not to lose any, let the
# requests run out: Fetch, and Nak what still comes until its time has passed.
#
# github.com/nats-io/nats-server/v2 v2.15.2, three servers as processes; github.com/nats-io/nats.go
# v1.55.0. A reader takes and acknowledges messages for 50 ms and then drains, 100 times, while others
# are published; once it is connected to the stream's server, once to another one.
# Seen: at the stream's server 0 messages are out to nobody in the end, at another one 46 to 73 of 39,000.
#
# Fails if some are at the stream's server, or none are at the other one.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > main.go <<'GO'
package main

import (
	"context"
	"errors"
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

// try has a reader drain again and again while messages are published. It returns how many were
// handed out that nobody has seen.
func try(where string, js, publisher jetstream.JetStream) int {
	ctx := context.Background()
	cons, err := js.CreateConsumer(ctx, "s", jetstream.ConsumerConfig{Durable: where, AckPolicy: jetstream.AckExplicitPolicy, AckWait: 5 * time.Minute, MaxAckPending: 1 << 20})
	check(err)
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				publisher.PublishAsync("s.x", []byte("x"))
				time.Sleep(100 * time.Microsecond)
			}
		}
	}()
	seen := 0
	for range 100 {
		messages, err := cons.Messages(jetstream.PullMaxMessages(1000), jetstream.StopAfter(1000), jetstream.PullExpiry(4*time.Second))
		check(err)
		ends := time.Now().Add(50 * time.Millisecond)
		for drained := false; ; {
			if !drained && time.Now().After(ends) {
				messages.Drain()
				drained = true
			}
			m, err := messages.Next(jetstream.NextMaxWait(2 * time.Second))
			if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
				break
			}
			check(err)
			check(m.Ack())
			seen++
		}
	}
	close(stop)
	<-stopped
	check(js.Conn().Flush())
	time.Sleep(2 * time.Second) // until the last acknowledgement has come
	info, err := cons.Info(ctx)
	check(err)
	fmt.Printf("%s: %d messages were seen, %d are out to nobody\n", where, seen, info.NumAckPending)
	return info.NumAckPending
}

func main() {
	p := ports(6)
	var routes []string
	for i := range 3 {
		routes = append(routes, fmt.Sprint("nats://127.0.0.1:", p[3+i]))
	}
	for i := range 3 {
		conf := fmt.Sprintf("server_name: n%d\nlisten: \"127.0.0.1:%d\"\njetstream {store_dir: \"data%d\"}\ncluster {name: c, listen: \"127.0.0.1:%d\", routes: [%s], no_advertise: true}\n",
			i, p[i], i, p[3+i], strings.Join(routes, ", "))
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
		s, err := conns[0].CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "s", Subjects: []string{"s.>"}, Replicas: 1})
		if err != nil {
			return err
		}
		leader = s.CachedInfo().Cluster.Leader
		return nil
	})
	var at int
	fmt.Sscanf(leader, "n%d", &at)
	here := try("at_the_stream's_server", conns[at], conns[at])
	there := try("at_another_server", conns[(at+1)%3], conns[at])
	if here != 0 || there == 0 {
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
