package watch

// States counts the sessions that are watched by what [Session.Status] says of them.
func (w *Watcher) States() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	counts := map[string]int{}
	for _, e := range w.live {
		if e.variant != nil {
			counts[Session{State: e.state, End: e.end}.Status()]++
		}
	}
	return counts
}
