package fleet

import "time"

// QuickFenced is for how long a replica acts that is not heard, see Quick.
const QuickFenced = 3 * time.Second

// Quick has a replica that ended without a word noticed sooner.
func (o Options) Quick() Options {
	o.timing = usual
	o.timing.heartbeat, o.timing.fenced, o.timing.dead, o.timing.unwell = 200*time.Millisecond, QuickFenced, 4*time.Second, 500*time.Millisecond
	return o
}

// Patient is Quick, but one that is not heard acts for very long.
func (o Options) Patient() Options {
	o = o.Quick()
	o.timing.fenced, o.timing.dead = time.Hour, 2*time.Hour
	return o
}

// Mute has a replica not answer for a session, as one that is very slow.
func (f *Fleet) Mute(sessionID string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held[SlotOf(sessionID)].stopAnswering()
}

// TakeInVain has a replica try to take a session's slot from one that hangs, and hear that this failed.
func (f *Fleet) TakeInVain(sessionID string) {
	f.takeOne(SlotOf(sessionID), claim{revision: 1 << 62, wanted: true, hangs: true})
}

// Busy has a replica give no sign of life to those who ask what was here before, until it is called.
func (f *Fleet) Busy() (over func() error) {
	f.hearing.Stop()
	return f.hear
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
