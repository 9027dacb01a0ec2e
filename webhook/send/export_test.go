package send

import (
	"context"
	"net"
	"net/http"
)

// The parts that tests look at, because nobody else should.

var ErrRefused = errRefused

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
	conn, err := s.client.Transport.(*http.Transport).DialContext(ctx, "tcp", address)
	if err == nil {
		conn.Close()
	}
	return err
}
