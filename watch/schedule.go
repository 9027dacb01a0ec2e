package watch

import "time"

// gap is how long to wait before a session of some age is polled again. The adaptive
// schedule polls when a change is likely. Nobody answers within the first seconds:
// a telephone has to be taken up and a number typed in. Most do within the minute after
// that; later, fewer and fewer will, and nobody waits for them as eagerly.
//
//	age              wait
//	below 5s         2 intervals
//	below 1m         1
//	below 3m         2
//	above            5
func (c Config) gap(age time.Duration) time.Duration {
	switch {
	case c.Schedule == Fixed, 5*time.Second <= age && age < time.Minute:
		return c.Interval
	case age < 3*time.Minute:
		return 2 * c.Interval
	}
	return 5 * c.Interval
}

// retryAfter is how long to wait after a number of failures in a row of the upstream:
// longer and longer, but the end of an outage has to be noticed soon.
func retryAfter(interval time.Duration, failures int) time.Duration {
	const most = 3 * time.Second
	return min(interval<<min(failures-1, 8), max(interval, most))
}

// storeRetryAfter is the same for failures of the store.
func storeRetryAfter(failures int) time.Duration {
	const first, most = 100 * time.Millisecond, 10 * time.Second
	return min(first<<min(failures-1, 10), most)
}
