#!/bin/sh
# Fetch of nats.go subscribes to an inbox and then sends its request. When the request cannot be sent
# it returns the error, but the subscription stays: nobody has a handle of it, it goes only with the
# connection, and after a reconnect the server holds it too. Nothing can be sent while no server is
# there and the buffer for that is off (ReconnectBufSize(-1), as whoever wants to know what was sent
# has it) or full. So a worker that tries again during an outage leaves a subscription and its channel
# behind each time, until the server refuses the connection's next ones where it bounds them
# (max_subscriptions). Ask Conn.IsConnected first; between that and Fetch one may still be left.
#
# github.com/nats-io/nats-server/v2 v2.15.2, github.com/nats-io/nats.go v1.55.0; one server.
# Seen: after 1,000 calls that failed with "outbound buffer limit exceeded" the connection has 1,000
# subscriptions more than before, and so has the server, but for one, once it is back. Fetch of the old API,
# PullSubscribe, leave none.
#
# Fails if fewer than 900 are left behind.
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

func start(port int) *server.Server {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoSigs: true, JetStream: true, StoreDir: "data"})
	check(err)
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		check(fmt.Errorf("the server is not ready"))
	}
	return s
}

func stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func until(what string, is func() bool) {
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			check(fmt.Errorf("it is not so that %s", what))
		}
	}
}

func main() {
	s := start(-1)
	port := s.Addr().(*net.TCPAddr).Port
	nc, err := nats.Connect(s.ClientURL(), nats.ReconnectBufSize(-1), nats.ReconnectWait(100*time.Millisecond), nats.MaxReconnects(-1))
	check(err)
	js, err := jetstream.New(nc)
	check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "things", Subjects: []string{"things"}})
	check(err)
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: "worker"})
	check(err)
	old, err := nc.JetStream()
	check(err)
	pulled, err := old.PullSubscribe("", "", nats.Bind("things", "worker"))
	check(err)
	check(nc.Flush())
	before, served := nc.NumSubscriptions(), s.NumSubscriptions()

	stop(s)
	until("the client notices", func() bool { return !nc.IsConnected() })
	var refused error
	for range 1000 {
		if _, refused = pulled.Fetch(1, nats.MaxWait(time.Second)); refused == nil {
			check(fmt.Errorf("the old API could ask"))
		}
	}
	earlier := nc.NumSubscriptions() - before
	for range 1000 {
		if _, refused = consumer.Fetch(1, jetstream.FetchMaxWait(time.Second)); refused == nil {
			check(fmt.Errorf("it could be asked"))
		}
	}
	left := nc.NumSubscriptions() - before
	s = start(port)
	until("the client is back", nc.IsConnected)
	check(nc.Flush())
	fmt.Printf("1000 calls failed (%v) and left %d subscriptions at the client, %d at the server that is back; 1000 of the old API %d\n",
		refused, left, int(s.NumSubscriptions())-int(served), earlier)
	nc.Close()
	stop(s)
	if left < 900 {
		fmt.Println("changed: they do not stay")
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
