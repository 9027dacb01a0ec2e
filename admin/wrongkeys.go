package admin

import (
	"maps"
	"net/netip"
	"sync"
	"time"
)

const (
	// wrongAtOnce is how many wrong keys an address may send at once, and wrongPause how
	// long it takes until one more is looked at.
	wrongAtOnce = 10
	wrongPause  = 6 * time.Second
	// mostGuessers bounds the addresses that are remembered.
	mostGuessers = 4096
)

// wrongKeys slows whoever guesses keys, and nobody at another address. The zero value is
// ready to use.
type wrongKeys struct {
	mu    sync.Mutex
	clear map[netip.Prefix]time.Time // when all is forgiven: each wrong key adds a pause; guarded by mu
}

// wait is how long it takes until a key from an address is looked at.
func (w *wrongKeys) wait(address netip.Addr) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Until(w.clear[neighbours(address)].Add(-(wrongAtOnce - 1) * wrongPause))
}

// add counts a wrong key.
func (w *wrongKeys) add(address netip.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	from, now := neighbours(address), time.Now()
	clear := w.clear[from]
	if clear.Before(now) {
		clear = now
	}
	if len(w.clear) >= mostGuessers {
		w.makeRoomLocked(now)
	}
	if w.clear == nil {
		w.clear = map[netip.Prefix]time.Time{}
	}
	w.clear[from] = clear.Add(wrongPause)
}

// makeRoomLocked forgets who is forgiven or, where nobody is, whoever would be first.
func (w *wrongKeys) makeRoomLocked(now time.Time) {
	var first netip.Prefix
	maps.DeleteFunc(w.clear, func(from netip.Prefix, clear time.Time) bool {
		if !first.IsValid() || clear.Before(w.clear[first]) {
			first = from
		}
		return clear.Before(now)
	})
	if len(w.clear) >= mostGuessers {
		delete(w.clear, first)
	}
}

// neighbours are the addresses that count as one: of IPv6 everybody has 2⁶⁴.
func neighbours(address netip.Addr) netip.Prefix {
	bits := 64
	if address.Is4() {
		bits = 32
	}
	prefix, _ := address.WithZone("").Prefix(bits)
	return prefix
}
