package store_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/teststore"
	"pollbridge/store"
)

// TestKeysChange: another key comes first, the earlier one goes once what it has encrypted has
// gone; what stays is encrypted anew, followers go on, and ids are the same all the time.
func TestKeysChange(t *testing.T) {
	t.Parallel()
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	key := func() string {
		secret := make([]byte, 32)
		rand.Read(secret)
		return hex.EncodeToString(secret) + "\n"
	}
	first, second := key(), key()
	cfg := store.DefaultConfig()
	cfg.EncryptionKeyFile = filepath.Join(t.TempDir(), "key")
	open := func(keys string) (*teststore.Store, error) {
		write(t, cfg.EncryptionKeyFile, []byte(keys))
		return teststore.Open(testkit.Within(t), teststore.In(dir), cfg, log)
	}
	var id string
	for i, keys := range []string{first, first + second, second + first, "\n" + second} {
		s := testkit.Must(open(keys))(t)
		stays := testkit.Must(s.Bucket(testkit.Within(t), store.BucketConfig{Name: "stays"}))(t)
		goes := testkit.Must(s.Bucket(testkit.Within(t), store.BucketConfig{Name: "goes", MaxAge: time.Hour}))(t)
		if i == 0 {
			id = s.ID("x_", "a")
			testkit.Must(stays.Put(testkit.Within(t), "a", []byte("1"), 0))(t)
			testkit.Must(goes.Put(testkit.Within(t), "a", []byte("1"), 0))(t)
		}
		if got := s.ID("x_", "a"); got != id {
			t.Errorf("%d: the id is %s; want %s", i, got, id)
		}
		if r := testkit.Must(stays.Get(testkit.Within(t), "a"))(t); !bytes.Equal(r.Value, []byte("1")) {
			t.Errorf("%d: Get = %q", i, r.Value)
		}
		if _, err := goes.Get(testkit.Within(t), "a"); (err == nil) != (i < 3) {
			t.Errorf("%d: Get of what goes by itself = %v", i, err)
		}
		if i%3 == 0 { // not while the key changes: so nothing else writes how far the follower is
			events := testkit.Must(s.Journal(testkit.Within(t), store.JournalConfig{Name: "events", MaxAge: time.Hour}))(t)
			key := "x" + strconv.Itoa(i)
			testkit.Must(events.Append(testkit.Within(t), key, nil, 0))(t)
			following, stop := context.WithCancel(testkit.Within(t))
			testkit.NoError(t, events.Follow(following, "somebody", func(_ context.Context, e store.Entry, done func()) error {
				if e.Key != key {
					t.Errorf("%d: the follower is handed %s", i, e.Key)
				}
				done()
				stop()
				return nil
			}, nil))
			if !errors.Is(context.Cause(following), context.Canceled) {
				t.Errorf("%d: the follower was handed nothing", i)
			}
		}
		testkit.NoError(t, s.Close())
	}
	if s, err := open(first); !errors.Is(err, store.ErrDamaged) {
		s.Close()
		t.Errorf("Open with a key that has gone = %v", err)
	}
}

// TestIDsOfBefore: an earlier version kept nothing about ids. They come from the key that was the
// store's then, wherever that stands among several.
func TestIDsOfBefore(t *testing.T) {
	t.Parallel()
	for _, newFirst := range []bool{false, true} {
		dir := t.TempDir()
		cfg := store.DefaultConfig()
		cfg.EncryptionKeyFile = filepath.Join(t.TempDir(), "key")
		open := func(keys ...byte) *teststore.Store {
			var text []byte
			for _, key := range keys {
				text = append(hex.AppendEncode(text, bytes.Repeat([]byte{key}, 32)), '\n')
			}
			write(t, cfg.EncryptionKeyFile, text)
			return testkit.Must(teststore.Open(testkit.Within(t), teststore.In(dir), cfg, slog.New(slog.DiscardHandler)))(t)
		}
		s := open(1)
		id := s.ID("x_", "a")
		testkit.NoError(t, s.ForgetIDs(testkit.Within(t)))
		testkit.NoError(t, s.Close())
		if newFirst {
			s = open(2, 1)
		} else {
			s = open(1, 2)
		}
		if got := s.ID("x_", "a"); got != id {
			t.Errorf("the new key first: %v: the id is %s; want %s", newFirst, got, id)
		}
		testkit.NoError(t, s.Close())
	}
}
