package api

import "context"

// Schedule is when sessions are polled that are watched or held, and what was learnt for that.
type Schedule struct {
	Schedule        string  `json:"schedule" enum:"fixed,adaptive" doc:"The setting watch.schedule."`
	IntervalSeconds float64 `json:"interval_seconds" doc:"The time between two polls where the schedule is fixed, or has not learnt enough."`
	MaxGapSeconds   float64 `json:"max_gap_seconds" doc:"The longest time between two polls."`
	Curves          []Curve `json:"curves" doc:"Of the endpoints whose sessions were polled, or learnt from."`
}

// Curve is when the sessions of an endpoint end and are polled, and what that saves.
type Curve struct {
	Endpoint        string       `json:"endpoint" example:"smartid-sign"`
	Since           string       `json:"since" enum:"start,sight" doc:"What ages count from: the call that has started a session, or the first poll of one whose start was not seen."`
	Sessions        int          `json:"sessions" doc:"The number of sessions that were learnt from, by all replicas."`
	Polls           int          `json:"polls" doc:"Polls since the start of this process, but for the first one of each session."`
	PollsAtInterval int          `json:"polls_at_interval" doc:"How many there would have been with one in each interval: the difference is what the schedule saves."`
	Points          []CurvePoint `json:"points" doc:"By age. Empty until enough was learnt."`
}

// CurvePoint is what a curve says of one age.
type CurvePoint struct {
	AgeSeconds float64 `json:"age_seconds"`
	GapSeconds float64 `json:"gap_seconds" doc:"How long after a poll at that age the next one is made."`
	Hazard     float64 `json:"hazard" doc:"The share of the sessions that are pending at that age which end within a second."`
}

// Schedule returns when sessions are polled, and what was learnt for that.
func (c *Client) Schedule(ctx context.Context) (Schedule, error) {
	return get[Schedule](ctx, c, nil, "schedule")
}
