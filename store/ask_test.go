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
