#!/bin/sh
# An ordered consumer of nats.go is made for one reading and belongs to nobody else, but Stop leaves it
# at the server, where it goes after five minutes without requests. A stream takes no more than 1,000
# consumers by default (server 2.15.2: default_max_consumers). So the thousand-and-first reading
# within five minutes fails, and so does whoever needs a durable consumer of that stream then. Remove
# it yourself (DeleteConsumer with CachedInfo().Name), and set InactiveThreshold for what is killed.
#
# github.com/nats-io/nats-server/v2 v2.15.2, github.com/nats-io/nats.go v1.55.0; one server.
# Seen: 1000 readings of one message, each with Stop, leave 1000 consumers; the next one fails with
# "maximum consumers limit reached" (10026), and so does a durable one.
#
# Fails if 1,100 readings succeed, or a durable consumer can be made after them.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > main.go <<'GO'
package main

import (
	"context"
	"fmt"
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

func main() {
	s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, JetStream: true, StoreDir: "data"})
	check(err)
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		check(fmt.Errorf("the server is not ready"))
	}
	nc, err := nats.Connect("", nats.InProcessServer(s))
	check(err)
	js, err := jetstream.New(nc)
	check(err)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "things", Subjects: []string{"things"}})
	check(err)
	_, err = js.Publish(ctx, "things", nil)
	check(err)
	read := func() error {
		consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
		if err != nil {
			return err
		}
		messages, err := consumer.Messages()
		if err != nil {
			return err
		}
		defer messages.Stop()
		_, err = messages.Next()
		return err
	}
	n := 0
	for ; n < 1100 && err == nil; n++ {
		if err = read(); err != nil {
			break
		}
	}
	_, durable := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{Durable: "worker"})
	info, infoErr := stream.Info(ctx)
	check(infoErr)
	fmt.Printf("after %d readings the stream has %d consumers; the next reading: %v; a durable consumer: %v\n", n, info.State.Consumers, err, durable)
	if err == nil || durable == nil {
		fmt.Println("changed: nothing fails")
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
