package admin

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"pollbridge/store"
)

// Logins keeps who has logged in, for all replicas: a [*store.Bucket].
type Logins interface {
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) (revision uint64, err error)
	// Get returns store.ErrNotFound where there is none, or not any more.
	Get(ctx context.Context, key string) (store.Record, error)
	Delete(ctx context.Context, key string) error
}

// LoginTime is how long a login lasts.
const LoginTime = 12 * time.Hour

const (
	// storeTime is how long the store may take. Nobody needs the dashboard more than who has a
	// store in trouble, so memory knows, too, who has logged in here.
	storeTime = 500 * time.Millisecond
	// mostLogins bounds what memory knows.
	mostLogins = 1000
)

// login is what is kept of one.
type login struct {
	Key     string    `json:"key"` // names the key that it was made with
	Expires time.Time `json:"expires"`

	here bool // the store could not take it
}

// logins are those who have logged in. Each is known by the hash of a secret, which only
// the browser has. A login ends with LoginTime, with its key, or by logging out, everywhere.
type logins struct {
	kept Logins
	keys []string // the names of those that are in use
	log  *slog.Logger

	mu    sync.Mutex
	known map[string]login // those that were seen here; guarded by mu
}

func newLogins(kept Logins, keys []key, log *slog.Logger) *logins {
	l := &logins{kept: kept, log: log, known: map[string]login{}}
	for _, k := range keys {
		l.keys = append(l.keys, k.name())
	}
	return l
}

// name tells a key from others, and does not help to guess it faster than the store's own
// encryption lets.
func (k key) name() string {
	hash := hmac.New(sha256.New, k[:])
	hash.Write([]byte("pollbridge login"))
	return hex.EncodeToString(hash.Sum(nil))
}

func loginID(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// begin returns the secret of a new login.
func (l *logins) begin(ctx context.Context, k key) (secret string) {
	secret = rand.Text() + rand.Text()
	made := login{Key: k.name(), Expires: time.Now().Add(LoginTime)}
	text, _ := json.Marshal(made)
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	if _, err := l.kept.Put(ctx, loginID(secret), text, LoginTime); err != nil {
		l.log.Warn("a login is not known to other replicas, nor after a restart: it could not be stored", "error", err)
		made.here = true
	}
	l.remember(loginID(secret), made)
	return secret
}

// has reports whether a login goes on, as the store says, or memory if that cannot.
func (l *logins) has(ctx context.Context, secret string) bool {
	id := loginID(secret)
	found := l.remembered(id)
	if !found.here {
		ctx, cancel := context.WithTimeout(ctx, storeTime)
		defer cancel()
		record, err := l.kept.Get(ctx, id)
		switch {
		case errors.Is(err, store.ErrNotFound):
			l.forget(id)
			return false
		case err == nil && json.Unmarshal(record.Value, &found) != nil:
			return false
		case err == nil:
			l.remember(id, found)
		}
	}
	return time.Now().Before(found.Expires) && slices.Contains(l.keys, found.Key)
}

// end ends a login everywhere; after an error, only here.
func (l *logins) end(ctx context.Context, secret string) error {
	id := loginID(secret)
	l.forget(id)
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	return l.kept.Delete(ctx, id)
}

func (l *logins) remembered(id string) login {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known[id]
}

func (l *logins) forget(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.known, id)
}

func (l *logins) remember(id string, one login) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for other := range l.known { // any
		if len(l.known) < mostLogins {
			break
		}
		delete(l.known, other)
	}
	l.known[id] = one
}
