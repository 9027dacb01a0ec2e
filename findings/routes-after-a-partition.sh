#!/bin/sh
# A NATS server that a network has parted from the others for half a minute stays away up to 24 s
# longer than the network does. Routes are pinged every 30 s, so neither side has given the old
# connection up by then, and whoever dials anew is refused as a duplicate. What brings it back is TCP's
# next retransmission, whose pause has doubled all the while, to 25 s after 30 s of silence; or, where so much
# is sent that its buffer is full, the write deadline of 10 s. A cluster of three that lost one for 30 s
# bears no second loss for almost a minute. With "ping_interval: 2s" in the cluster's block the routes
# are given up within 6 s, and new ones made within a second or so after the network is back.
#
# github.com/nats-io/nats-server/v2 v2.15.2, three servers in network namespaces, github.com/nats-io/nats.go
# v1.55.0. The link of one is taken off their bridge for 30 s and put back; a client of that server
# sends to one of another server all the time. Needs root, iproute2 and curl.
# Seen, from the network's return to the first message that gets through: 9.7 and 24.0 s with defaults,
# 0.8 and 1.0 s with that setting. With 50 messages a second, not 5, 0.8, 24.4 and 24.8 s with defaults.
#
# Fails if it takes less than 5 s with defaults, or more than 3 s with the setting.
set -eu
folder=$(mktemp -d)
name=rp$$
servers="1 2 3"
finish() {
	for pid in $(cat "$folder"/pid-* 2>/dev/null); do kill "$pid" 2>/dev/null || true; done
	for i in $servers; do ip netns del $name$i 2>/dev/null || true; done
	ip link del ${name}b 2>/dev/null || true
	rm -rf "$folder"
}
trap finish EXIT
cd "$folder"
GOBIN=$folder GOFLAGS= go install github.com/nats-io/nats-server/v2@v2.15.2
mkdir across
cd across
cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

// Sends every 200 ms, or prints when a message comes after a second without any.
func main() {
	nc, err := nats.Connect("nats://127.0.0.1:4222", nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1))
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot try:", err)
		os.Exit(2)
	}
	if os.Args[1] == "send" {
		for {
			nc.Publish("across", nil)
			time.Sleep(200 * time.Millisecond)
		}
	}
	last := time.Now()
	nc.Subscribe("across", func(*nats.Msg) {
		if time.Since(last) > time.Second {
			fmt.Println(time.Now().UnixMilli())
		}
		last = time.Now()
	})
	select {}
}
GO
go mod init across >/dev/null 2>&1
GOFLAGS= go get github.com/nats-io/nats.go@v1.55.0 >/dev/null 2>&1
GOFLAGS= go build -o "$folder/cross" .
cd "$folder"

ip link add ${name}b type bridge
ip link set ${name}b up
for i in $servers; do
	ip netns add $name$i
	ip link add ${name}v$i type veth peer name others netns $name$i
	ip -n $name$i addr add 10.0.0.$i/24 dev others
	ip -n $name$i link set lo up
	ip -n $name$i link set others up
	ip link set ${name}v$i master ${name}b up
done

within() { # seconds, command...
	tries=$(($1 * 5))
	shift
	until "$@"; do
		tries=$((tries - 1))
		if [ $tries -le 0 ]; then echo "cannot try: not in time: $*"; exit 2; fi
		sleep 0.2
	done
}
routes() { ip netns exec $name$1 curl -s http://127.0.0.1:8222/routez | sed -n 's/.*"num_routes": \([0-9]*\).*/\1/p'; }
meshed() { for i in $servers; do [ "$(routes $i)" = 8 ] || return 1; done; } # four to each of the two others
heard() { [ -s heard ]; }

# returns prints how many milliseconds after its network a server is back.
returns() { # settings of the cluster's block
	for i in $servers; do
		cat > $i.conf <<CONF
server_name: s$i
listen: 127.0.0.1:4222
http: 127.0.0.1:8222
cluster { name: c, listen: "10.0.0.$i:6222", routes: ["nats://10.0.0.1:6222", "nats://10.0.0.2:6222", "nats://10.0.0.3:6222"], $1 }
CONF
		ip netns exec $name$i ./nats-server -c $i.conf > log-$i 2>&1 & echo $! > pid-$i
	done
	within 30 meshed
	: > heard
	ip netns exec ${name}2 ./cross hear >> heard & echo $! > pid-hear
	ip netns exec ${name}1 ./cross send & echo $! > pid-send
	sleep 3
	ip link set ${name}v1 nomaster
	sleep 30
	: > heard
	began=$(date +%s%3N)
	ip link set ${name}v1 master ${name}b
	within 60 heard
	took=$(($(head -n 1 heard) - began))
	for pid in $(cat pid-*); do kill "$pid"; done
	wait
	rm pid-*
}
returns ""
echo "with defaults a message gets through $took ms after the network is back"
default=$took
returns "ping_interval: 2s"
echo "with ping_interval: 2s, $took ms"
[ "$default" -ge 5000 ] && [ "$took" -le 3000 ]
