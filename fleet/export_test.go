package fleet

import "time"

// Quick has a replica that ended without a word noticed sooner.
func (o Options) Quick() Options {
	o.timing = usual
	o.timing.heartbeat, o.timing.fenced, o.timing.dead, o.timing.unwell = 200*time.Millisecond, 3*time.Second, 4*time.Second, 500*time.Millisecond
	return o
}

// Kill has a replica end without a word.
func (f *Fleet) Kill() {
	f.stop()
	f.running.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hearing.Stop()
	for _, h := range f.held {
		h.stopAnswering()
	}
}
