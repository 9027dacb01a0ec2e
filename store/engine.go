package store

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

// maxValue is the size of the largest single value. What is around it fits into what
// the server calls a reasonable payload.
const (
	maxValue   = 7 << 20
	maxPayload = 8 << 20
)

// startEngine starts a server on the engine's directory.
func startEngine(cfg Config, dir string, log *engineLog, patience time.Duration) (*server.Server, error) {
	engine, err := server.NewServer(&server.Options{
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
	engine.SetLoggerV2(log, false, false, false)
	engine.Start()
	if !engine.ReadyForConnections(patience) {
		stopEngine(engine)
		return nil, errors.New("the embedded NATS server did not become ready in time")
	}
	if !engine.JetStreamEnabled() {
		stopEngine(engine)
		return nil, errors.New("JetStream is not available")
	}
	log.started.Store(true)
	return engine, nil
}

func stopEngine(engine *server.Server) {
	engine.Shutdown()
	engine.WaitForShutdown()
}

// engineLog passes on what the server has to complain about, and notices when it
// says that it cannot write: a stream that failed once stays so until the server is
// started anew, and tells nobody else.
type engineLog struct {
	log      *slog.Logger
	failed   func(error)
	rebuilds bool // when it starts: the server was not stopped in good order the last time
	started  atomic.Bool
}

func (l *engineLog) Noticef(string, ...any) {}
func (l *engineLog) Debugf(string, ...any)  {}
func (l *engineLog) Tracef(string, ...any)  {}

func (l *engineLog) Warnf(format string, args ...any) {
	text := strings.TrimSpace(fmt.Sprintf(format, args...))
	if l.rebuilds && !l.started.Load() {
		l.log.Debug("embedded NATS server rebuilds its state, as after any unclean stop", "message", text)
		return
	}
	l.log.Warn("embedded NATS server warning", "message", text)
	if strings.Contains(text, "disabling JetStream") {
		l.failed(errors.New(text))
	}
}

func (l *engineLog) Errorf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.log.Error("embedded NATS server error", "message", text)
	for _, sign := range []string{"ritical write error", "will be DISABLED", "no space left", "read-only file system", "input/output error"} {
		if strings.Contains(text, sign) {
			l.failed(errors.New(text))
			return
		}
	}
}

func (l *engineLog) Fatalf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.log.Error("embedded NATS server error", "message", text)
	l.failed(errors.New(text))
}
