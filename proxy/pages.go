package proxy

import (
	"container/list"
	"os"
	"sync"

	"pollbridge/session"
)

// pages keeps the largest answers of late a second time, where sockets can send them
// from without copying them: that is half of what sending a signed document costs. It
// is safe for concurrent use.
type pages struct {
	mu    sync.Mutex
	byAge list.List // of *paged, the one that was used last in front; guarded by mu, as all below
	known map[*session.Content]*list.Element
	size  int
}

// paged is an answer that was given before, and how often.
type paged struct {
	content *session.Content
	given   int
	file    *os.File // nil until it pays; closed once nobody uses it any more
}

const (
	largeBody   = 64 << 10 // bytes, from which on it pays
	givenBefore = 2        // times, likewise
	maxPaged    = 256      // answers
	maxPages    = 64 << 20 // bytes, all in all
)

func newPages() *pages {
	return &pages{known: map[*session.Content]*list.Element{}}
}

// of returns a file with the body of content, or nil if it does not pay to have one,
// or cannot be. The caller must not close it, nor move in it.
func (p *pages) of(content *session.Content) *os.File {
	if len(content.Body) < largeBody || len(content.Body) > maxPages {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	one := p.useLocked(content)
	if one.file == nil && one.given == givenBefore {
		if file, err := newPaged(content.Body); err == nil {
			one.file = file
			p.size += len(content.Body)
			p.forgetLocked()
		}
	}
	one.given++
	return one.file
}

func (p *pages) useLocked(content *session.Content) *paged {
	if element, ok := p.known[content]; ok {
		p.byAge.MoveToFront(element)
		return element.Value.(*paged)
	}
	one := &paged{content: content}
	p.known[content] = p.byAge.PushFront(one)
	p.forgetLocked()
	return one
}

// forgetLocked forgets what was used least of late. Whoever still sends a file that
// is forgotten keeps it open.
func (p *pages) forgetLocked() {
	for p.size > maxPages || len(p.known) > maxPaged {
		one := p.byAge.Remove(p.byAge.Back()).(*paged)
		delete(p.known, one.content)
		if one.file != nil {
			p.size -= len(one.content.Body)
		}
	}
}
