package main

import (
	"io"
	"net"
)

// balance hands each connection to the next of some addresses that accepts it, until ln is closed.
func balance(ln net.Listener, addresses []string) {
	for next := 0; ; next++ {
		client, err := ln.Accept()
		if err != nil {
			return
		}
		go relay(client, append(addresses[next%len(addresses):len(addresses):len(addresses)], addresses[:next%len(addresses)]...))
	}
}

// relay passes on what the client and the first of some addresses that accepts it say to each other.
func relay(client net.Conn, addresses []string) {
	defer client.Close()
	for _, address := range addresses {
		server, err := net.Dial("tcp", address)
		if err != nil {
			continue
		}
		defer server.Close()
		go func() {
			io.Copy(server, client)
			server.(*net.TCPConn).CloseWrite()
		}()
		io.Copy(client, server)
		return
	}
}
