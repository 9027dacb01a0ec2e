package cluster_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/natscluster"
	"pollbridge/store"
)

// TestRequestThatIsLost: one request for messages that never gets to the server delays what reads,
// but does not end it.
func TestRequestThatIsLost(t *testing.T) {
	t.Parallel()
	servers := natscluster.Start(t, 1, natscluster.Settings{})
	way := newLossyWay(t, servers.Servers[0].Addr, "$JS.API.CONSUMER.MSG.NEXT.pollbridge_TABLE_things.")
	cfg := configOf(servers)
	cfg.URL = "nats://" + way.addr
	things := testkit.Must(openStore(t, cfg).Bucket(testkit.Within(t), store.BucketConfig{Name: "things"}))(t)
	testkit.Must(things.Put(testkit.Within(t), "a", []byte("b"), 0))(t)

	way.losing.Store(true)
	found := 0
	testkit.NoError(t, things.Each(testkit.Within(t), func(some []store.Record) { found += len(some) }))
	if found != 1 || way.losing.Load() {
		t.Errorf("Each finds %d records, a request was lost: %v; want 1, true", found, !way.losing.Load())
	}

	way.losing.Store(true)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	told := 0
	testkit.Must(things.Watch(ctx, ">", func(store.Change) { told++ }))(t)
	if told != 1 || way.losing.Load() {
		t.Errorf("Watch told of %d records, a request was lost: %v; want 1, true", told, !way.losing.Load())
	}
}

// lossyWay passes on what a client and a server of NATS say to each other.
type lossyWay struct {
	addr    string
	to      string
	subject []byte
	losing  atomic.Bool // the next message to a subject that begins so is lost
}

func newLossyWay(t *testing.T, to, subject string) *lossyWay {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	testkit.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	w := &lossyWay{addr: ln.Addr().String(), to: to, subject: []byte(subject)}
	go func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			go w.serve(client)
		}
	}()
	return w
}

func (w *lossyWay) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		defer client.Close()
		io.Copy(client, server)
	}()
	for r := bufio.NewReader(client); ; {
		said, err := r.ReadBytes('\n')
		if err != nil {
			return
		}
		lost := false
		if fields := bytes.Fields(said); len(fields) > 2 && (string(fields[0]) == "PUB" || string(fields[0]) == "HPUB") {
			size, err := strconv.Atoi(string(fields[len(fields)-1]))
			if err != nil {
				return
			}
			payload := make([]byte, size+len("\r\n"))
			if _, err := io.ReadFull(r, payload); err != nil {
				return
			}
			said = append(said, payload...)
			lost = bytes.HasPrefix(fields[1], w.subject) && w.losing.CompareAndSwap(true, false)
		}
		if !lost {
			if _, err := server.Write(said); err != nil {
				return
			}
		}
	}
}
