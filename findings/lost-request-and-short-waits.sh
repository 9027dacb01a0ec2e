#!/bin/sh
# A pull consumer's Messages asks the server for messages with a heartbeat, and Next says that
# heartbeats are missing when there was none for twice as long: so a request that was lost, or that
# nobody answers any more, is noticed and made again. That clock belongs to each call of Next: who
# waits in calls that are shorter than two heartbeats (a context with a deadline for each, to look
# after something else between) is told for ever that the deadline has passed, and nothing comes
# again, though the server has messages.
#
# github.com/nats-io/nats.go v1.55.0, github.com/nats-io/nats-server/v2 v2.15.2. The server is
# reached through a pipe of our own, which drops the one request.
# Seen with a heartbeat of one second: calls of 5 s: "no heartbeat received", then the message, after
# 2 s. Calls of 1.5 s: 10 of 10 end with "context deadline exceeded".
#
# Fails if short calls get the message, too, or long ones do not.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > main.go <<'GO'
package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func check(err error) {
	if err != nil {
		fmt.Println("cannot try:", err)
		os.Exit(2)
	}
}

var losing atomic.Bool

// lossy drops what is written with the next request for messages.
type lossy struct{ net.Conn }

func (l lossy) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(".CONSUMER.MSG.NEXT.")) && losing.CompareAndSwap(true, false) {
		return len(b), nil
	}
	return l.Conn.Write(b)
}

type dialer struct{}

func (dialer) Dial(network, address string) (net.Conn, error) {
	conn, err := net.Dial(network, address)
	return lossy{conn}, err
}

func main() {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, JetStream: true, StoreDir: "data"})
	check(err)
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		check(fmt.Errorf("the server is not ready"))
	}
	nc, err := nats.Connect(s.ClientURL(), nats.SetCustomDialer(dialer{}))
	check(err)
	js, err := jetstream.New(nc)
	check(err)
	ctx := context.Background()
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "things", Subjects: []string{"things.>"}})
	check(err)
	_, err = js.Publish(ctx, "things.a", []byte("one"))
	check(err)
	// gets reports whether Next gets the message within 15 s, in calls of that length.
	gets := func(name string, call time.Duration) bool {
		consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{})
		check(err)
		losing.Store(true)
		messages, err := consumer.Messages(jetstream.PullHeartbeat(time.Second))
		check(err)
		defer messages.Stop()
		for began := time.Now(); time.Since(began) < 15*time.Second; {
			bounded, cancel := context.WithTimeout(ctx, call)
			m, err := messages.Next(jetstream.NextContext(bounded))
			cancel()
			if err == nil {
				fmt.Printf("%s: %q after %v\n", name, m.Data(), time.Since(began).Round(time.Second))
				return true
			}
			fmt.Printf("%s: %v\n", name, err)
		}
		return false
	}
	long, short := gets("calls of 5s", 5*time.Second), gets("calls of 1.5s", 1500*time.Millisecond)
	if losing.Load() {
		check(fmt.Errorf("no request was lost"))
	}
	if !long || short {
		fmt.Println("changed: both get the message, or neither does")
		os.Exit(1)
	}
}
GO
cat > go.mod <<'MOD'
module finding

go 1.25
MOD
go get github.com/nats-io/nats-server/v2@v2.15.2 github.com/nats-io/nats.go@v1.55.0 >/dev/null 2>&1
go mod tidy >/dev/null 2>&1
go run .
