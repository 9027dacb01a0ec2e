package api

import (
	"context"
	"time"
)

// Replica is one of the processes that share a store. A bridge that is alone is one, too.
type Replica struct {
	ID        string    `json:"id" doc:"Changes with each start."`
	Name      string    `json:"name" doc:"The name of its host."`
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"`
	State     string    `json:"state" enum:"serving,draining,unwell" doc:"unwell: it cannot reach the upstream, and leaves that to others while they can."`
	Share     float64   `json:"share" minimum:"0" maximum:"1" doc:"The part of all sessions that it looks after."`
	Watches   int       `json:"watches" doc:"The number of sessions it polls in the background, as it said a few seconds ago."`
}

// The states of a replica.
const (
	ReplicaServing  = "serving"
	ReplicaDraining = "draining"
	ReplicaUnwell   = "unwell"
)

// Replicas returns the replicas that are running, the oldest first.
func (c *Client) Replicas(ctx context.Context) ([]Replica, error) {
	list, err := get[List[Replica]](ctx, c, nil, "replicas")
	return list.Items, err
}
