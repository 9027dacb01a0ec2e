package simulator

import (
	"container/heap"
	"container/list"
	"time"
)

// agenda holds every session by what is due next: to end, to be forgotten, to be
// dropped from memory. Sessions so need no timers, and an injected clock works.
type agenda []*session

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].due.Before(a[j].due) }

func (a agenda) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].index, a[j].index = i, j
}

// Push is for container/heap.
func (a *agenda) Push(x any) {
	s := x.(*session)
	s.index = len(*a)
	*a = append(*a, s)
}

// Pop is for container/heap.
func (a *agenda) Pop() any {
	last := len(*a) - 1
	s := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	return s
}

// ageMark is a session's place in the order of starts.
type ageMark = *list.Element

// sessions is the bounded table of sessions. Its methods need Simulator.mu held.
type sessions struct {
	byToken map[string]*session
	agenda  agenda
	byAge   list.List // oldest first
	limit   int
	evicted int64
}

func newSessions(limit int) sessions {
	return sessions{byToken: make(map[string]*session), limit: limit}
}

func (t *sessions) add(s *session) {
	for len(t.byToken) >= t.limit {
		t.remove(t.byAge.Front().Value.(*session))
		t.evicted++
	}
	t.byToken[s.Token] = s
	s.age = t.byAge.PushBack(s)
	heap.Push(&t.agenda, s)
}

func (t *sessions) remove(s *session) {
	delete(t.byToken, s.Token)
	t.byAge.Remove(s.age)
	heap.Remove(&t.agenda, s.index)
}

func (t *sessions) reschedule(s *session, due time.Time) {
	s.due = due
	heap.Fix(&t.agenda, s.index)
}

// next is the session that is most due, if its time has come.
func (t *sessions) next(now time.Time) (*session, bool) {
	if len(t.agenda) == 0 || t.agenda[0].due.After(now) {
		return nil, false
	}
	return t.agenda[0], true
}

func (t *sessions) clear() { *t = newSessions(t.limit) }
