package main

import (
	"math"

	"pollbridge/admin/api"
)

// scheduled is when sessions are polled, and what was learnt for that.
func (b *bridge) scheduled() api.Schedule {
	shown := api.Schedule{
		Schedule: b.cfg.Watch.Schedule, IntervalSeconds: b.cfg.Watch.Interval.Seconds(), MaxGapSeconds: b.cfg.Watch.LongestGap().Seconds(), Curves: []api.Curve{},
	}
	for _, c := range b.schedule.Curves() {
		if c.Sessions == 0 && c.Polls == 0 {
			continue
		}
		curve := api.Curve{
			Endpoint: c.Endpoint, Since: c.Since, Sessions: int(c.Sessions), Polls: int(c.Polls), PollsAtInterval: int(math.Round(c.PollsAtInterval)),
			Points: make([]api.CurvePoint, len(c.Points)),
		}
		for i, p := range c.Points {
			curve.Points[i] = api.CurvePoint{AgeSeconds: p.Age.Seconds(), GapSeconds: p.Gap.Seconds(), Hazard: p.Hazard}
		}
		shown.Curves = append(shown.Curves, curve)
	}
	return shown
}
