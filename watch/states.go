package watch

import "pollbridge/session"

// stateCounts is how many sessions are watched, by how their watch stands and their state. It is
// kept up with what happens, as dashboards ask for it each second. It is guarded by Watcher.mu.
type stateCounts [Abandoned + 1][session.NotFound + 1]int

// byStatus is by what [Session.Status] says.
func (c *stateCounts) byStatus() map[string]int {
	counts := map[string]int{}
	for end, states := range c {
		for state, n := range states {
			if n > 0 {
				counts[Session{State: session.State(state), End: End(end)}.Status()] += n
			}
		}
	}
	return counts
}

// counted is where an entry is counted, and as what.
type counted struct {
	in    *stateCounts // nil: it is not
	end   End
	state session.State
}

// add has an entry be looked after. It needs the lock.
func (w *Watcher) add(e *entry) {
	w.live[e.id] = e
	if e.variant != nil { // nil: it is being erased, and nothing is known of it
		e.counted = counted{&w.states, e.end, e.state}
		w.states[e.end][e.state]++
	}
}

// drop takes an entry out. It needs the lock.
func (w *Watcher) drop(e *entry) {
	delete(w.live, e.id)
	if c := e.counted; c.in != nil {
		c.in[c.end][c.state]--
		e.counted = counted{}
	}
}

// recount is called when the state of an entry may have changed.
func (e *entry) recount() {
	if c := &e.counted; c.in != nil {
		c.in[c.end][c.state]--
		c.end, c.state = e.end, e.state
		c.in[c.end][c.state]++
	}
}
