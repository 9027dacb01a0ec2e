package main

import (
	"sync/atomic"
	"testing"
	"time"
)

func TestCostBeyondIdle(t *testing.T) {
	start := time.Now()
	before := work{at: start, traffic: traffic{messages: 5, writes: map[string]float64{"a": 1, "b": 2}}}
	now := work{at: start.Add(2 * time.Second), cpu: 3 * time.Second, traffic: traffic{messages: 105, writes: map[string]float64{"a": 11, "b": 32}}}
	got := now.since(before).beyond(cost{seconds: 1, cpu: 0.5, messages: 10}, 10)
	if got.cpu != 0.2 || got.messages != 8 || got.writes != 4 || got.busiestWrites != 3 || got.streams != " a 10 b 30" {
		t.Errorf("each of ten costs %+v", got)
	}
}

func TestHolderIsWhoAsked(t *testing.T) {
	f := &fleet{upstream: &upstream{asked: make([]atomic.Int64, 1)}, replicas: []*server{{upstreamAddress: "127.0.0.1:14000"}, {upstreamAddress: "127.0.0.1:4000"}}}
	f.upstream.asked[0].Store(4000)
	if got := f.holder(0); got != f.replicas[1] {
		t.Errorf("the holder is %+v", got)
	}
}
