package cluster_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/natscluster"
	"pollbridge/store/cluster"
)

func configOf(c *natscluster.Cluster) cluster.Config {
	cfg := cluster.DefaultConfig()
	cfg.URL, cfg.Replicas = c.URL(), len(c.Servers)
	return cfg
}

// TestManyComeAtOnce: what is needed is made by whoever comes first.
func TestManyComeAtOnce(t *testing.T) {
	t.Parallel()
	servers := natscluster.Start(t, 3, natscluster.Settings{})
	var coming sync.WaitGroup
	for range 6 {
		coming.Go(func() {
			c, err := cluster.Open(testkit.Within(t), configOf(servers), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Errorf("Open = %v", err)
				return
			}
			if err := c.Err(); err != nil {
				t.Errorf("Err = %v", err)
			}
			testkit.NoError(t, c.Close())
		})
	}
	coming.Wait()
}

// TestServerThatCannotBeUsed: the error says what to do, and comes at once.
func TestServerThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		settings natscluster.Settings
		user     string
		replicas int
		want     []string
	}{
		"no JetStream":         {natscluster.Settings{Bare: true}, "", 1, []string{"without JetStream", "jetstream {}"}},
		"not for this account": {natscluster.Settings{Extra: `accounts {A: {users: [{user: a, password: sesame}]}, B: {jetstream: enabled, users: [{user: b, password: b}]}}`}, "a:sesame@", 1, []string{"account of this user"}},
		"wrong password":       {natscluster.Settings{Extra: `authorization {user: a, password: b}`}, "a:sesame@", 1, []string{"Authorization", "store.nats.credentials_file"}},
		"no cluster":           {natscluster.Settings{}, "", 3, []string{"store.nats.replicas to 1"}},
		"no permission": {natscluster.Settings{Extra: `authorization {users: [{user: a, password: sesame, permissions: {publish: ["$JS.API.INFO", "$JS.API.STREAM.>"], subscribe: ["pollbridge.>"]}}]}`}, "a:sesame@", 1,
			[]string{"may not", "Publish", "pollbridge.TRIAL", "docs/fleet.md"}},
		"no permission to hear": {natscluster.Settings{Extra: `authorization {users: [{user: a, password: sesame, permissions: {publish: [">"], subscribe: ["x.>"]}}]}`}, "a:sesame@", 1,
			[]string{"may not", "Subscription", "pollbridge.inbox"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			servers := natscluster.Start(t, 1, test.settings)
			cfg := configOf(servers)
			cfg.URL, cfg.Replicas = "nats://"+test.user+servers.Servers[0].Addr, test.replicas
			begun := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			c, err := cluster.Open(ctx, cfg, slog.New(slog.DiscardHandler))
			if err == nil {
				c.Close()
				t.Fatal("Open succeeded")
			}
			t.Logf("after %v: %v", time.Since(begun), err)
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Open = %v; want %q in it", err, want)
				}
			}
			if strings.Contains(err.Error(), "sesame") {
				t.Errorf("Open = %v: it shows the password", err)
			}
		})
	}
}

// fakeServer says which version it has and nothing else; heard is told each line that it is sent,
// and ends the connection by returning false.
func fakeServer(t *testing.T, version string, heard func(line string) (more bool)) cluster.Config {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	testkit.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprintf(conn, `INFO {"server_id":"x","server_name":"fake","version":%q,"proto":1,"max_payload":1048576,"headers":true,"jetstream":true}`+"\r\n", version)
				for in := bufio.NewScanner(conn); in.Scan(); {
					if in.Text() == "PING" {
						fmt.Fprint(conn, "PONG\r\n")
					}
					if !heard(in.Text()) {
						return
					}
				}
			}()
		}
	}()
	cfg := cluster.DefaultConfig()
	cfg.URL = "nats://" + ln.Addr().String()
	return cfg
}

// TestServersThatDoNotAnswer are asked again. Before they have a leader they never answer what they
// were asked, and one that ends meanwhile does not either.
func TestServersThatDoNotAnswer(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]bool{"no leader yet": true, "the connection is lost": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan struct{}, 10)
			cfg := fakeServer(t, "2.12.0", func(line string) bool {
				if !strings.HasPrefix(line, "PUB $JS.API.INFO ") {
					return true
				}
				asked <- struct{}{}
				return more
			})
			ctx, cancel := context.WithCancel(testkit.Within(t))
			var opening sync.WaitGroup
			defer opening.Wait()
			defer cancel()
			opening.Go(func() {
				if _, err := cluster.Open(ctx, cfg, slog.New(slog.DiscardHandler)); errors.Is(err, cluster.ErrRefused) {
					t.Errorf("Open = %v, which it says goes not by itself", err)
				}
			})
			for range 3 {
				testkit.Receive(t, "it is asked", asked)
			}
		})
	}
}

// TestServerThatIsTooOld: what it lacks would show later, one by one.
func TestServerThatIsTooOld(t *testing.T) {
	t.Parallel()
	cfg := fakeServer(t, "2.11.9", func(string) bool { return true })
	_, err := cluster.Open(testkit.Within(t), cfg, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "2.11.9") || !strings.Contains(err.Error(), "2.12.0 or later") {
		t.Errorf("Open = %v", err)
	}
}

// TestServerThatIsParted: where its server cannot reach the others, a connection goes to one of these.
func TestServerThatIsParted(t *testing.T) {
	t.Parallel()
	network := natscluster.NewRelays(t)
	servers := natscluster.Start(t, 3, network.Settings())
	cfg := configOf(servers)
	c, err := cluster.Open(testkit.Within(t), cfg, slog.New(slog.DiscardHandler))
	testkit.NoError(t, err)
	defer c.Close()
	before := c.Conn().ConnectedServerName()
	for i, s := range servers.Servers {
		if s.Name == before {
			network.Part(i, true)
		}
	}
	testkit.Eventually(t, "it cannot be used", func() bool { return c.Err() != nil })
	testkit.Eventually(t, "it can be used at another server", func() bool { return c.Err() == nil && c.Conn().ConnectedServerName() != before })
}
