package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// maxPayload is what the server calls a reasonable one.
const maxPayload = 8 << 20

// startServer starts a server on the engine's directory.
func startServer(cfg Config, dir string, log *serverLog, timeout time.Duration) (*server.Server, error) {
	s, err := server.NewServer(&server.Options{
		ServerName:         "pollbridge",
		DontListen:         true,
		NoSigs:             true,
		NoLog:              true,
		JetStream:          true,
		StoreDir:           dir,
		SyncAlways:         cfg.Sync == SyncAlways,
		SyncInterval:       time.Second,
		MaxPayload:         maxPayload,
		JetStreamMaxStore:  math.MaxInt64 / 4, // the disk is the limit
		JetStreamMaxMemory: 1 << 30,           // nothing is kept there but the state of consumers
	})
	if err != nil {
		return nil, err
	}
	s.SetLoggerV2(log, false, false, false)
	s.Start()
	if !s.ReadyForConnections(timeout) {
		stopServer(s)
		return nil, errors.New("the embedded NATS server did not become ready in time")
	}
	if !s.JetStreamEnabled() {
		stopServer(s)
		return nil, errors.New("JetStream is not available")
	}
	log.started.Store(true)
	return s, nil
}

func stopServer(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// serverLog passes on what the server has to complain about.
type serverLog struct {
	log      *slog.Logger
	rebuilds bool // when it starts: the server was not stopped in good order the last time
	started  atomic.Bool
}

func (l *serverLog) Noticef(string, ...any) {}
func (l *serverLog) Debugf(string, ...any)  {}
func (l *serverLog) Tracef(string, ...any)  {}

func (l *serverLog) Warnf(format string, args ...any) {
	text := strings.TrimSpace(fmt.Sprintf(format, args...))
	if l.rebuilds && !l.started.Load() {
		l.log.Debug("embedded NATS server rebuilds its state, as after any unclean stop", "message", text)
		return
	}
	l.log.Warn("embedded NATS server warning", "message", text)
}

func (l *serverLog) Errorf(format string, args ...any) {
	l.log.Error("embedded NATS server error", "message", fmt.Sprintf(format, args...))
}

func (l *serverLog) Fatalf(format string, args ...any) { l.Errorf(format, args...) }
