package proxy

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestVisitorEndsItsChildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &visitor{}
		child, cancel := context.WithTimeout(v, time.Hour)
		defer cancel()
		if v.Err() != nil || context.Cause(v) != nil || child.Err() != nil {
			t.Fatal("ended before the client left")
		}
		time.AfterFunc(time.Second, func() { v.leave(errClientGone) })
		<-child.Done()
		if cause := context.Cause(child); !errors.Is(cause, errClientGone) {
			t.Errorf("the child ended with %v; want errClientGone", cause)
		}
		<-v.Done()
		if v.leave(errPanic); !errors.Is(context.Cause(v), errClientGone) {
			t.Errorf("ended with %v; want the first reason, errClientGone", context.Cause(v))
		}
	})
}

// TestVisitorIsRenewed: the next one has nothing of the one before.
func TestVisitorIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &visitor{}
		for i := range 3 {
			stop := v.AfterFunc(func() { t.Error("it ran, though it was stopped") })
			second := v.AfterFunc(func() { t.Error("it ran, though it was stopped") })
			if v.Err() != nil || !second() || !stop() || !v.renew() {
				t.Fatalf("visitor %d is not like a new one", i)
			}
		}
		stop := v.AfterFunc(func() { t.Error("it ran for another visitor") })
		if !stop() {
			t.Error("stopping came too late for one that has not left")
		}
		v.renew()
		v.leave(errClientGone)
		synctest.Wait()
		if v.renew() {
			t.Error("renewed, though it has left")
		}
	})
}

// TestVisitorWithChildrenIsNotRenewed: contexts whose time is over may stop what they
// asked of it after everything else is over.
func TestVisitorWithChildrenIsNotRenewed(t *testing.T) {
	for range 1000 {
		v := &visitor{}
		child, cancel := context.WithTimeout(v, 10*time.Microsecond)
		<-child.Done()
		cancel()
		if v.renew() {
			t.Fatal("renewed, though a context was derived from it")
		}
	}
}

func TestVisitorAfterFunc(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &visitor{}
		var ran [4]bool
		var stop [4]func() bool
		for i := range 3 {
			stop[i] = v.AfterFunc(func() { ran[i] = true })
		}
		if !stop[1]() || stop[1]() {
			t.Error("stop: want true once, then false")
		}
		v.leave(errClientGone)
		stop[3] = v.AfterFunc(func() { ran[3] = true })
		synctest.Wait()
		if want := [4]bool{true, false, true, true}; ran != want {
			t.Errorf("ran %v; want %v", ran, want)
		}
		if stop[0]() || stop[3]() {
			t.Error("stop after it ran: want false")
		}
		select {
		case <-v.Done(): // made after the end
		default:
			t.Error("Done is open after the client left")
		}
	})
}

// TestVisitorOfMany: each function runs once or was stopped, never both, whoever comes
// first; and whoever waits is woken.
func TestVisitorOfMany(t *testing.T) {
	for range 200 {
		v := &visitor{}
		var ran, stopped atomic.Int64
		var running, working sync.WaitGroup
		const many = 16
		for i := range many {
			running.Add(1)
			working.Go(func() {
				stop := v.AfterFunc(func() { ran.Add(1); running.Done() })
				if i%2 == 0 && stop() {
					stopped.Add(1)
					running.Done()
				}
				if i%4 == 3 {
					child, cancel := context.WithCancel(v)
					<-child.Done()
					cancel()
					if !errors.Is(context.Cause(child), errClientGone) {
						t.Errorf("the child ended with %v; want errClientGone", context.Cause(child))
					}
				}
				if i%4 == 1 {
					<-v.Done()
				}
			})
		}
		for range 2 {
			working.Go(func() { v.leave(errClientGone) })
		}
		working.Wait()
		running.Wait()
		if ran.Load()+stopped.Load() != many {
			t.Fatalf("%d ran and %d were stopped; want %d in all", ran.Load(), stopped.Load(), many)
		}
	}
}
