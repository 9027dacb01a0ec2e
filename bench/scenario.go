package main

import "context"

// A scenario is one question and the measurement that answers it.
type scenario struct {
	name  string // as -only takes it
	title string
	run   func(context.Context, *lab, *report) error
}

// scenarios returns all scenarios in the order in which they are run.
func scenarios() []scenario {
	return []scenario{
		hotScenario().scenario(),
		turnScenario().scenario(),
		finalScenario().scenario(),
		{"collapse", "clients of one session against requests to the upstream", runCollapse},
		{"passthrough", "what is no status request: small requests, and 40 MB each way", runPassThrough},
		{"memory", "one million pending sessions", runMemory},
		{"prompt", "from the change of a session to its webhook", runPrompt},
		{"deliveries", "durable events a second, end to end", runDeliveries},
		{"watches", "what a watched session costs", runWatches},
		{"takeover", "from a crash to all watches", runTakeover},
	}
}
