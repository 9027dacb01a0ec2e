#!/bin/sh
# A context without a deadline is fine for the calls of nats.go's jetstream package: each that asks
# the server gives it a default one of five seconds. All but one: Info of an ordered consumer asks
# with the context as it is, and where the answer gets lost (the server is started anew just then)
# it waits for ever.
#
# github.com/nats-io/nats.go v1.55.0, github.com/nats-io/nats-server/v2 v2.15.2. The server is
# reached through a pipe of our own, which stops passing bytes on: so nothing is answered, and no
# connection ends.
# Seen: Info of a stream and of a consumer fail after 5 s with "context deadline exceeded", that of
# an ordered consumer has not returned after 15 s.
#
# Fails if that returns, too, or one of the others does not.
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

var silent atomic.Bool

// muted passes on what comes until silent is set.
type muted struct{ net.Conn }

func (m muted) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	for silent.Load() {
		time.Sleep(time.Hour)
	}
	return n, err
}

type dialer struct{}

func (dialer) Dial(network, address string) (net.Conn, error) {
	conn, err := net.Dial(network, address)
	return muted{conn}, err
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
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{})
	check(err)
	ordered, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	check(err)
	_, err = ordered.Info(ctx)
	check(err)
	silent.Store(true)
	changed := false
	for _, call := range []struct {
		name    string
		f       func() error
		returns bool
	}{
		{"Info of a stream", func() error { _, err := stream.Info(ctx); return err }, true},
		{"Info of a consumer", func() error { _, err := consumer.Info(ctx); return err }, true},
		{"Info of an ordered consumer", func() error { _, err := ordered.Info(ctx); return err }, false},
	} {
		done := make(chan error, 1)
		began := time.Now()
		go func() { done <- call.f() }()
		select {
		case err := <-done:
			fmt.Printf("%s: %v after %v\n", call.name, err, time.Since(began).Round(time.Second))
			changed = changed || !call.returns
		case <-time.After(15 * time.Second):
			fmt.Printf("%s: nothing after 15s\n", call.name)
			changed = changed || call.returns
		}
	}
	if changed {
		fmt.Println("changed: all calls return, or none does")
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
