package proxy

import (
	"container/list"
	"os"
	"runtime"
	"sync"
	"weak"

	"pollbridge/session"
)

// pages keeps the largest answers of late a second time, where sockets can send them
// from without copying them: that is half of what sending a signed document costs. It
// keeps none longer than the answer itself is known elsewhere. It is safe for
// concurrent use.
type pages struct {
	most int // bytes

	mu    sync.Mutex
	byAge list.List // of *paged, the one that was used last in front; guarded by mu, as all below
	known map[weak.Pointer[session.Content]]*list.Element
	size  int
}

// paged is an answer that was given before, and how often.
type paged struct {
	in      *pages
	content weak.Pointer[session.Content] // or all that was given would stay in memory
	size    int
	file    *os.File // nil until it pays; all below is guarded by in.mu
	given   int
	tried   bool // to make the file
	users   int
	gone    bool // forgotten: the last user closes the file
	watch   runtime.Cleanup
}

const (
	largeBody   = 64 << 10 // bytes, from which on it pays
	givenBefore = 2        // times, likewise
	maxPaged    = 256      // answers
	maxPages    = 64 << 20 // bytes, all in all
)

func newPages() *pages {
	return &pages{most: maxPages, known: map[weak.Pointer[session.Content]]*list.Element{}}
}

// of returns the body of content as a file, or nil if it does not pay to have one, or
// cannot be. The caller must not move in the file, and must release it.
func (p *pages) of(content *session.Content) *paged {
	if len(content.Body) < largeBody || len(content.Body) > p.most {
		return nil
	}
	one, empty := p.use(content)
	if empty && !p.fill(one, content) {
		one.release()
		return nil
	}
	return one
}

// use counts that content is given. It returns nil where there is no file, and true
// where the caller, and nobody else, should make it.
func (p *pages) use(content *session.Content) (one *paged, empty bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one = p.findLocked(content)
	one.given++
	empty = !one.tried && one.given > givenBefore
	if one.file == nil && !empty {
		return nil, false
	}
	one.tried = true
	one.users++
	return one, empty
}

func (p *pages) findLocked(content *session.Content) *paged {
	key := weak.Make(content)
	if element, ok := p.known[key]; ok {
		p.byAge.MoveToFront(element)
		return element.Value.(*paged)
	}
	one := &paged{in: p, content: key, size: len(content.Body)}
	p.known[key] = p.byAge.PushFront(one)
	p.trimLocked()
	return one
}

// fill makes the file of one, without keeping anybody else waiting.
func (p *pages) fill(one *paged, content *session.Content) (ok bool) {
	file, err := newPaged(content.Body)
	if err != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	one.file = file
	if one.gone { // it lasts for this one use
		return true
	}
	p.size += one.size
	one.watch = runtime.AddCleanup(content, p.forget, one.content)
	p.trimLocked()
	return true
}

// trimLocked forgets what was used least of late.
func (p *pages) trimLocked() {
	for p.size > p.most || len(p.known) > maxPaged {
		p.forgetLocked(p.byAge.Back())
	}
}

// forget forgets an answer that nobody remembers any more.
func (p *pages) forget(content weak.Pointer[session.Content]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if element, ok := p.known[content]; ok {
		p.forgetLocked(element)
	}
}

// forgetLocked leaves the file to whoever still sends it. It is not left to the
// garbage collector, which does not know how much memory it takes.
func (p *pages) forgetLocked(element *list.Element) {
	one := p.byAge.Remove(element).(*paged)
	delete(p.known, one.content)
	one.gone = true
	one.watch.Stop()
	if one.file != nil {
		p.size -= one.size
	}
	one.closeLocked()
}

// release ends a use. It may be called once for each.
func (o *paged) release() {
	o.in.mu.Lock()
	defer o.in.mu.Unlock()
	o.users--
	o.closeLocked()
}

func (o *paged) closeLocked() {
	if o.gone && o.users == 0 && o.file != nil {
		_ = o.file.Close()
		o.file = nil
	}
}
