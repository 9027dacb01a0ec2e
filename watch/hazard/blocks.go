package hazard

import "math"

const (
	// enough is how many ends have to be known before anything is made of them.
	enough = 30
	// penalty is by how much the logarithm of the likelihood has to grow for one more block: what
	// chance makes of an even hazard gets none.
	penalty = 4
)

// estimate is what is made of counts.
type estimate struct {
	hazard [bins]float64 // how many of the sessions that are pending end in a second
	ends   [bins]float64 // how many ended, about
	used   int           // bins for which that was learnt; none if too little is known
}

// estimate finds the step function that explains best what was seen, less a penalty for each step: steep
// where the hazard is, such as where sessions expire, and even where there is little to tell
// (Scargle et al. 2013, Bayesian blocks; Killick et al. 2012 for the pruning).
func (c *Counts) estimate() (e estimate) {
	var ended, pending [bins + 1]float64
	used := 0 // bins up to the last one that a session was in
	for i := range bins {
		ended[i+1], pending[i+1] = ended[i]+c.ended[i], pending[i]+c.pending[i]
		if c.pending[i] > 0 {
			used = i + 1
		}
	}
	if ended[bins] < enough || used == 0 {
		return e
	}
	mean := ended[bins] / pending[bins]
	rate := func(from, to int, some float64) float64 {
		return (ended[to] - ended[from] + some) / (pending[to] - pending[from] + some/mean)
	}
	// What a block with no ends has is not known to be nothing. How many ends there were is known
	// better, but for so few that delays would be longer than they seem to have been.
	const some = .5
	few := enough / ended[bins]
	begins := blocks(ended[:used+1], pending[:used+1])
	// Nobody came so far: one who does is no reason to ask as often as at an expiry before that.
	unknown := min(mean, rate(begins[used], used, some))
	for i := used; i < bins; i++ {
		e.hazard[i] = unknown
	}
	for to := used; to > 0; to = begins[to] {
		for i := begins[to]; i < to; i++ {
			e.hazard[i], e.ends[i] = rate(begins[to], to, some), c.pending[i]*rate(begins[to], to, few)
		}
	}
	e.used = used
	return e
}

// blocks cuts bins into blocks of an even hazard, given how many sessions have ended and for how
// long they were pending before each bin. It returns, for each bin where a block may end, where that
// block begins.
func blocks(ended, pending []float64) (begins [bins + 1]int) {
	var best, fits [bins + 1]float64 // of what lies before a bin; of a candidate
	var all [bins]int
	candidates := all[:0] // for the beginning of the last block
	for to := 1; to < len(ended); to++ {
		candidates = append(candidates, to-1)
		best[to] = math.Inf(-1)
		for k, from := range candidates {
			fits[k] = best[from] + logLikelihood(ended[to]-ended[from], pending[to]-pending[from])
			if fit := fits[k] - penalty; fit > best[to] {
				best[to], begins[to] = fit, from
			}
		}
		kept := candidates[:0]
		for k, from := range candidates {
			if fits[k] > best[to] { // else a block that ends here is better for whatever follows
				kept = append(kept, from)
			}
		}
		candidates = kept
	}
	return begins
}

// logLikelihood is that of seeing so many ends in that time, with the hazard that makes them most
// likely, but for what is the same for all ways of cutting.
func logLikelihood(ended, pending float64) float64 {
	const none = 1e-9
	if ended < none || pending < none {
		return 0
	}
	return ended * math.Log(ended/pending)
}
