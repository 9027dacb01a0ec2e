package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"
)

const natsServers = 3

// A natsCluster is three servers of NATS that know each other.
type natsCluster struct{ servers []*natsProcess }

type natsProcess struct {
	*process
	address, monitor string
}

// startNATS starts a cluster and waits until it can be used.
func (b *bench) startNATS(ctx context.Context) (*natsCluster, error) {
	var free [3 * natsServers]string
	for i := range free {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		free[i] = address
	}
	clients, monitors, routes := free[:natsServers], free[natsServers:2*natsServers], free[2*natsServers:]
	c := &natsCluster{}
	for i := range natsServers {
		dir, err := b.folder(natsServer)
		if err != nil {
			return nil, err
		}
		config := filepath.Join(dir, "nats.conf")
		if err := writeTemplate(config, map[string]any{
			"Name": fmt.Sprintf("n%d", i), "Listen": clients[i], "Monitor": monitors[i], "Cluster": routes[i], "Routes": routes, "Dir": filepath.Join(dir, "data"),
		}); err != nil {
			return nil, err
		}
		p, err := b.start(natsServer, dir, []string{b.paths[natsServer], "-c", config}, nil)
		if err != nil {
			return nil, err
		}
		c.servers = append(c.servers, &natsProcess{p, clients[i], monitors[i]})
	}
	for _, s := range c.servers {
		if err := s.await(ctx, 15*time.Second, answersOK("http://"+s.monitor+"/healthz")); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// url names all servers.
func (c *natsCluster) url() string {
	var urls []string
	for _, s := range c.servers {
		urls = append(urls, "nats://"+s.address)
	}
	return strings.Join(urls, ",")
}

// traffic is what the servers have done since their start, all together.
type traffic struct {
	natsCPU     time.Duration
	messages    float64            // from and to replicas
	bytes       float64            // of these
	allMessages float64            // and between the servers
	writes      map[string]float64 // by stream
}

// traffic asks the servers what they have done.
func (c *natsCluster) traffic(ctx context.Context) (t traffic, err error) {
	t.writes = map[string]float64{}
	for _, s := range c.servers {
		t.natsCPU += usageOf(s.pid).cpu
		var of struct {
			In          float64 `json:"in_msgs"`
			Out         float64 `json:"out_msgs"`
			ClientIn    float64 `json:"in_client_msgs"`
			ClientOut   float64 `json:"out_client_msgs"`
			ClientBytes float64 `json:"in_client_bytes"`
			ToClients   float64 `json:"out_client_bytes"`
		}
		if err := s.ask(ctx, "/varz", &of); err != nil {
			return t, err
		}
		t.messages += of.ClientIn + of.ClientOut
		t.bytes += of.ClientBytes + of.ToClients
		t.allMessages += of.In + of.Out
		var kept struct {
			Accounts []struct {
				Streams []struct {
					Name  string
					State struct {
						Last float64 `json:"last_seq"`
					}
				} `json:"stream_detail"`
			} `json:"account_details"`
		}
		if err := s.ask(ctx, "/jsz?accounts=true&streams=true", &kept); err != nil {
			return t, err
		}
		for _, account := range kept.Accounts {
			for _, stream := range account.Streams {
				t.writes[stream.Name] = max(t.writes[stream.Name], stream.State.Last) // each server has all of it, sooner or later
			}
		}
	}
	return t, nil
}

// ask reads what a server says of itself.
func (s *natsProcess) ask(ctx context.Context, path string, answer any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.monitor+path, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return json.NewDecoder(response.Body).Decode(answer)
}
