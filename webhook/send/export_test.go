package send

import (
	"context"
	"net"
	"time"
)

// The parts that tests look at, because nobody else should.

var (
	ErrRefused = errRefused
	Classify   = classify
)

// CheckURL is what a Sender with that configuration says of a URL.
func CheckURL(cfg Config, raw string) error {
	s, err := New(cfg, Options{})
	if err == nil {
		_, err = s.CheckURL(raw)
	}
	return err
}

// Dial connects as attempts do, by way of the resolver.
func Dial(ctx context.Context, cfg Config, resolver *net.Resolver, address string) error {
	s, err := New(cfg, Options{Resolver: resolver})
	if err != nil {
		return err
	}
	defer s.Close()
	conn, err := s.transport.DialContext(ctx, "tcp", address)
	if err == nil {
		conn.Close()
	}
	return err
}

// SetAnswerTime sets how long an answer is read once its head has come.
func (s *Sender) SetAnswerTime(d time.Duration) { s.answerTime = d }

// WrapConns has each connection wrapped, above what a Sender makes of it.
func (s *Sender) WrapConns(wrap func(net.Conn) net.Conn) {
	dial := s.transport.DialContext
	s.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return wrap(conn), nil
	}
}
