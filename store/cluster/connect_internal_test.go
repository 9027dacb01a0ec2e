package cluster

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// TestExplained: an error says which setting to look at where certificates may be the reason.
func TestExplained(t *testing.T) {
	handshake := func(err error) error { return fmt.Errorf("%w: %w", nats.ErrTLS, err) }
	network := func(operation string, err error) error { return &net.OpError{Op: operation, Net: "tcp", Err: err} }
	for _, tt := range []struct {
		err    error
		advice string
	}{
		{handshake(&tls.CertificateVerificationError{Err: errors.New("of nobody's")}), "store.nats.ca_file"},
		{network("remote error", tls.AlertError(116)), "store.nats.cert_file"},
		{handshake(io.EOF), "store.nats.cert_file"},
		{handshake(network("read", os.ErrDeadlineExceeded)), ""},
		{network("dial", os.ErrDeadlineExceeded), ""},
		{network("dial", errors.New("connection refused")), ""},
		{nats.ErrNoServers, ""},
	} {
		switch got := explained(tt.err); {
		case !errors.Is(got, tt.err):
			t.Errorf("%v is lost in %v", tt.err, got)
		case tt.advice == "" && got != tt.err, !strings.Contains(got.Error(), tt.advice):
			t.Errorf("%v; want %q in it", got, tt.advice)
		}
	}
}
