package door

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"pollbridge/fleet"
	"pollbridge/session"
	"pollbridge/store"
	"pollbridge/watch"
)

// Watches has what changes a watch done by the replica that looks after the session. Whatever only
// reads is done by the watcher of this one. It is safe for concurrent use. Get one from
// [Door.Watches].
type Watches struct {
	*watch.Watcher
	d *Door
}

const (
	watchKind   = "watch"
	startedKind = "started"
	deleteKind  = "delete"
	pollingKind = "polling"
)

// Watches returns what to use in the place of w, and has this replica do what others ask of it. It
// is called before the fleet starts.
func (d *Door) Watches(w *watch.Watcher) *Watches {
	s := &Watches{w, d}
	d.watches = s
	d.o.Fleet.Answer(watchKind, s.answer(func(ctx context.Context, v *session.Variant) (any, error) { return w.Watch(ctx, v) }))
	d.o.Fleet.Answer(startedKind, s.answer(func(ctx context.Context, v *session.Variant) (any, error) {
		if err := d.heard(ctx, v); err != nil {
			return nil, err
		}
		return nil, w.Started(ctx, v)
	}))
	d.o.Fleet.Answer(deleteKind, func(ctx context.Context, question []byte) []byte {
		id := string(question)
		return appendDone(nil, s.moved(id, w.Delete(ctx, id)))
	})
	d.o.Fleet.Answer(pollingKind, func(ctx context.Context, question []byte) []byte {
		id := string(question)
		p, err := w.Polling(ctx, id)
		return appendDone(p, s.moved(id, err))
	})
	return s
}

// done is what became of what another replica was asked to do.
type done struct {
	Problem problem         `json:"problem,omitempty"`
	Text    string          `json:"text,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
}

// problem is an error that callers branch on.
type problem string

// errMoved says that the session has changed hands while something was done about it.
var errMoved = errors.New("door: another replica looks after the session by now")

var problems = map[problem]error{"moved": errMoved, "full": watch.ErrFull, "not_found": watch.ErrNotFound, "unusable": store.ErrUnusable, "closed": watch.ErrClosed}

// otherProblem is any other error.
const otherProblem problem = "other"

func appendDone(result any, err error) []byte {
	var d done
	if err != nil {
		d = done{Problem: otherProblem, Text: err.Error()}
		for name, known := range problems {
			if errors.Is(err, known) {
				d.Problem = name
			}
		}
	} else if result != nil {
		d.Result = store.JSON(result)
	}
	return appendJSON(nil, d)
}

// readDone returns the error that another replica has met.
func readDone(message []byte, result any) error {
	var d done
	if _, err := readJSON(message, &d); err != nil {
		return err
	}
	switch known := problems[d.Problem]; {
	case known != nil:
		return &elsewhereError{known, d.Text}
	case d.Problem != "":
		return errors.New(d.Text)
	case result == nil:
		return nil
	}
	return json.Unmarshal(d.Result, result)
}

// elsewhereError is an error that another replica has met.
type elsewhereError struct {
	known error
	text  string
}

func (e *elsewhereError) Error() string { return e.text }
func (e *elsewhereError) Unwrap() error { return e.known }

func (s *Watches) answer(do func(context.Context, *session.Variant) (any, error)) fleet.Handler {
	return func(ctx context.Context, question []byte) []byte {
		v, err := s.d.o.Table.ReadDurable(question)
		if err != nil {
			return appendDone(nil, err)
		}
		result, err := do(ctx, v)
		return appendDone(result, s.moved(s.d.o.ID(v), err))
	}
}

// moved is what became of something that was done here. Where the session has changed hands
// meanwhile that says little: whoever looks after it now may have read its record before.
func (s *Watches) moved(id string, err error) error {
	if s.d.o.Fleet.Owns(id) {
		return err
	}
	return errMoved
}

// ask has what is asked done by the replica that looks after a session, and again if the session
// changes hands meanwhile; here is called if that is this one.
func (s *Watches) ask(ctx context.Context, id, kind string, question []byte, result any, here func() error) (again bool, err error) {
	for ; ; again = true {
		if err = s.askOnce(ctx, id, kind, question, result, here); !errors.Is(err, errMoved) {
			return again, err
		}
	}
}

func (s *Watches) askOnce(ctx context.Context, id, kind string, question []byte, result any, here func() error) error {
	if !s.d.o.Fleet.Holds(id) {
		message, err := s.d.o.Fleet.Ask(ctx, id, kind, question)
		switch {
		case err == nil:
			return readDone(message, result)
		case errors.Is(err, fleet.ErrCutOff):
			return errors.Join(store.ErrUnusable, err)
		case errors.Is(err, fleet.ErrTaken):
			return errMoved
		case !errors.Is(err, fleet.ErrHere):
			return err
		}
	}
	return s.moved(id, here())
}

// Watch is [watch.Watcher.Watch].
func (s *Watches) Watch(ctx context.Context, v *session.Variant) (known watch.Session, err error) {
	_, err = s.ask(ctx, s.d.o.ID(v), watchKind, v.AppendDurable(nil), &known, func() (err error) {
		known, err = s.Watcher.Watch(ctx, v)
		return err
	})
	return known, err
}

// Started is [watch.Watcher.Started], but of a session that nobody is known to want to know of the store is
// asked whether that is so, for a second. While that is not known, which is no error, or the replica that
// looks after the session cannot be reached, it is tried again.
func (s *Watches) Started(ctx context.Context, v *session.Variant) error {
	at := time.Now()
	if err := s.d.heard(ctx, v); err != nil {
		s.d.hearLater(v, at, true, err)
		return nil
	}
	if !s.Watcher.Wants(v) {
		return nil
	}
	_, err := s.ask(ctx, s.d.o.ID(v), startedKind, v.AppendDurable(nil), nil, func() error { return s.Watcher.Started(ctx, v) })
	if err != nil && !errors.Is(err, watch.ErrFull) && !errors.Is(err, watch.ErrClosed) {
		s.d.Seen(v, nil, time.Now())
	}
	return err
}

// Polling is [watch.Watcher.Polling].
func (s *Watches) Polling(ctx context.Context, id string) (p watch.Polling, err error) {
	ctx, cancel := context.WithTimeout(ctx, pollingTime)
	defer cancel()
	_, err = s.ask(ctx, id, pollingKind, []byte(id), &p, func() (err error) {
		p, err = s.Watcher.Polling(ctx, id)
		return err
	})
	return p, err
}

// pollingTime is how long whoever looks after a session has to say how it is polled: a page is
// waiting, which shows the rest without it.
const pollingTime = time.Second

// Delete is [watch.Watcher.Delete].
func (s *Watches) Delete(ctx context.Context, id string) error {
	again, err := s.ask(ctx, id, deleteKind, []byte(id), nil, func() error { return s.Watcher.Delete(ctx, id) })
	if again && errors.Is(err, watch.ErrNotFound) {
		return nil // it was erased the first time
	}
	return err
}
