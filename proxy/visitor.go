package proxy

import (
	"context"
	"sync"
	"time"
)

// visitor is the context of a request that passes through: it ends when the client
// leaves, and its error says so. It does what one made by context.WithCancelCause
// would, and costs a quarter, as hardly any client leaves.
type visitor struct {
	mu    sync.Mutex
	err   error         // guarded by mu, like all below; nil while the client is there
	done  chan struct{} // nil until somebody asks for it
	after []*afterwards
	first afterwards // memory for the first of after: there is seldom more than one
}

// afterwards is what is to be done when a visitor leaves.
type afterwards struct {
	visitor *visitor    // nil: not used
	do      func()      // nil once it is done, or not to be done any more
	stopped func() bool // stop, once it was made
}

var _ context.Context = (*visitor)(nil)

// leave ends the context. It does not block.
func (v *visitor) leave(why error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err != nil {
		return
	}
	v.err = why
	if v.done != nil {
		close(v.done)
	}
	v.first.beginLocked()
	for _, a := range v.after {
		a.beginLocked()
	}
	v.after = nil
}

func (a *afterwards) beginLocked() {
	if a.do != nil {
		go a.do()
		a.do = nil
	}
}

func (a *afterwards) stop() bool {
	a.visitor.mu.Lock()
	defer a.visitor.mu.Unlock()
	stopped := a.do != nil
	a.do = nil
	return stopped
}

// AfterFunc does what context.AfterFunc promises, which looks for this method only
// after it has made a channel.
func (v *visitor) AfterFunc(f func()) (stop func() bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err != nil {
		go f()
		return func() bool { return false }
	}
	a := &v.first
	if a.visitor != nil { // taken
		a = &afterwards{}
		v.after = append(v.after, a)
	}
	a.visitor, a.do = v, f
	if a.stopped == nil {
		a.stopped = a.stop
	}
	return a.stopped
}

// renew makes the visitor one for another request, and reports whether it can be: not
// if it has left, nor if a context was derived from it. That asks for Done, and when its
// time is over, it may call what stops it even after it was cancelled.
func (v *visitor) renew() (renewed bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err != nil || v.done != nil {
		return false
	}
	v.after = nil
	v.first.visitor, v.first.do = nil, nil
	return true
}

// Done is closed when the client has left.
func (v *visitor) Done() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.done == nil {
		v.done = make(chan struct{})
		if v.err != nil {
			close(v.done)
		}
	}
	return v.done
}

// Err is why the context ended, or nil.
func (v *visitor) Err() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.err
}

// Deadline says that there is none.
func (v *visitor) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// Value is nil.
func (v *visitor) Value(any) any { return nil }
