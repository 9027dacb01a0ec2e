package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"pollbridge/internal/testkit"
	"pollbridge/store"
)

// TestLargeAnswers arrive whole, though each takes several messages.
func TestLargeAnswers(t *testing.T) {
	s, _ := open(t, config(t.TempDir()))
	document := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	answering, err := s.Answer("large.*", func(_ context.Context, subject string, question []byte) []byte {
		return append([]byte(subject+string(question)), document...)
	})
	testkit.NoError(t, err)
	defer answering.Stop()
	var asking sync.WaitGroup
	for i := range 6 {
		asking.Go(func() {
			subject := fmt.Sprint("large.", i)
			answer, err := s.Ask(testkit.Within(t), subject, []byte("?"))
			head, ok := bytes.CutSuffix(answer, document)
			if err != nil || !ok || string(head) != subject+"?" {
				t.Errorf("Ask = %d bytes, %v", len(answer), err)
			}
		})
	}
	asking.Wait()
	if _, err := s.Ask(testkit.Within(t), "large.x", make([]byte, 8<<20)); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("Ask with a large question = %v", err)
	}
}

// TestAnswersOfNoSize: whoever can reach the servers can say anything, and nobody dies of it.
func TestAnswersOfNoSize(t *testing.T) {
	t.Parallel()
	o := newOutside(t)
	s, nc := o.store(), o.connect().nc
	for _, size := range []string{"-1", "x", "99999999999"} {
		answering, err := nc.Subscribe("ask.large", func(m *nats.Msg) {
			part := nats.NewMsg(m.Reply)
			part.Header.Set("Pollbridge-Part", size)
			part.Data = []byte("0")
			m.RespondMsg(part)
		})
		testkit.NoError(t, err)
		testkit.NoError(t, nc.Flush())
		if _, err := s.Ask(testkit.Within(t), "large", nil); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("Ask, answered with %s bytes, = %v", size, err)
		}
		testkit.NoError(t, answering.Unsubscribe())
	}
}

// TestDrain: what is worked on is answered, nothing else that is asked, and not for longer than is waited.
func TestDrain(t *testing.T) {
	t.Parallel()
	s, _ := open(t, config(t.TempDir()))
	begun, over := make(chan struct{}), make(chan struct{})
	answering, err := s.Answer("drain", func(ctx context.Context, _ string, question []byte) []byte {
		if string(question) == "late" { // it was not late
			return nil
		}
		begun <- struct{}{}
		select {
		case <-over:
			return question
		case <-ctx.Done():
			return []byte("cut short")
		}
	})
	testkit.NoError(t, err)
	answers := make(chan string)
	ask := func(question string) {
		answer, err := s.Ask(testkit.Within(t), "drain", []byte(question))
		if err != nil {
			t.Errorf("Ask = %v", err)
		}
		answers <- string(answer)
	}
	go ask("first")
	testkit.Receive(t, "it is asked", begun)
	ctx, cancel := context.WithCancel(t.Context())
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		answering.Drain(ctx)
	}()
	testkit.Eventually(t, "nobody answers any more", func() bool {
		_, err := s.Ask(testkit.Within(t), "drain", []byte("late"))
		return errors.Is(err, store.ErrNobody)
	})
	close(over)
	if answer := testkit.Receive(t, "it is answered", answers); answer != "first" {
		t.Errorf("Ask = %q", answer)
	}
	testkit.Receive(t, "it is drained", drained)
	cancel()

	answering, err = s.Answer("drain", func(ctx context.Context, _ string, _ []byte) []byte {
		begun <- struct{}{}
		<-ctx.Done()
		return []byte("cut short")
	})
	testkit.NoError(t, err)
	go ask("second")
	testkit.Receive(t, "it is asked", begun)
	answering.Drain(ctx) // which has ended
	if answer := testkit.Receive(t, "it is answered", answers); answer != "cut short" {
		t.Errorf("Ask = %q", answer)
	}
}
