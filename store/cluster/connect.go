package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/mod/semver"
)

// oldest is the first version that has all that is needed: schedules and batches.
const oldest = "v2.12.0"

// connect connects to one of the servers.
func (c *Cluster) connect(ctx context.Context) error {
	options := []nats.Option{
		nats.Name("pollbridge"),
		nats.Timeout(2 * time.Second),
		// A server that hangs is noticed after a few seconds, not after minutes.
		nats.PingInterval(time.Second), nats.MaxPingsOutstanding(2),
		nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond), nats.ReconnectJitter(250*time.Millisecond, 250*time.Millisecond),
		nats.IgnoreAuthErrorAbort(), // credentials may be put right while the program runs
		nats.ReconnectBufSize(-1),   // what was not sent has failed
		nats.SyncQueueLen(1024),     // more than anybody asks for at a time; its memory is taken for each
		// So that a user needs no more than what begins with the prefix.
		nats.CustomInboxPrefix(c.cfg.Prefix + ".inbox"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.complain(err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { c.disconnected(err) }),
		nats.ReconnectHandler(func(*nats.Conn) { c.reconnected() }),
	}
	if c.cfg.CredentialsFile != "" {
		options = append(options, nats.UserCredentials(c.cfg.CredentialsFile))
	}
	if c.cfg.CAFile != "" {
		options = append(options, nats.RootCAs(c.cfg.CAFile))
	}
	if c.cfg.CertFile != "" {
		options = append(options, nats.ClientCert(c.cfg.CertFile, c.cfg.KeyFile))
	}
	return c.again(ctx, func(context.Context) (err error) {
		if c.nc, err = nats.Connect(c.cfg.URL, options...); err == nil {
			c.js, err = jetstream.New(c.nc, jetstream.WithDefaultTimeout(apiTimeout))
			return err
		}
		err = fmt.Errorf("store: connect to the NATS cluster: %w", explained(err))
		if errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) || errors.Is(err, nats.ErrAuthRevoked) {
			return final{fmt.Errorf("%w: check the user in store.nats.url, or store.nats.credentials_file", err)}
		}
		return err
	})
}

// explained adds to an error of connecting what can be done about it where certificates may be the reason.
func explained(err error) error {
	if _, untrusted := errors.AsType[*tls.CertificateVerificationError](err); untrusted {
		return fmt.Errorf("%w: check store.nats.ca_file, and the certificate of the servers", err)
	}
	if network, ok := errors.AsType[net.Error](err); ok && network.Timeout() {
		return err
	}
	alert, _ := errors.AsType[*net.OpError](err)
	if errors.Is(err, nats.ErrTLS) || alert != nil && alert.Op == "remote error" {
		return fmt.Errorf("%w: the servers may require a certificate, or may not accept that in store.nats.cert_file", err)
	}
	return err
}

// apiTimeout is long enough for an election: a third of what is made meanwhile takes 4 to 9 s.
const apiTimeout = 15 * time.Second

// suits finds out whether the server is one that can be used.
func (c *Cluster) suits(ctx context.Context) error {
	if version := c.nc.ConnectedServerVersion(); semver.Compare("v"+version, oldest) < 0 {
		return final{fmt.Errorf("store: the NATS server %s has version %s: version %s or later is needed", c.nc.ConnectedServerName(), version, oldest[1:])}
	}
	return c.again(ctx, func(ctx context.Context) error {
		// Asked while they have no leader yet, the servers never answer.
		ctx, cancel := context.WithTimeout(ctx, trialTimeout)
		defer cancel()
		_, err := c.js.AccountInfo(ctx)
		switch {
		case errors.Is(err, jetstream.ErrJetStreamNotEnabled):
			return final{errors.New("store: the NATS servers run without JetStream: it has to be enabled in their configuration (jetstream {})")}
		case errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
			return final{errors.New("store: JetStream is not enabled for the account of this user: it has to be in the servers' configuration, or in the account's JWT")}
		case err != nil:
			return fmt.Errorf("store: ask the NATS cluster about JetStream: %w", err)
		}
		return nil
	})
}

// complain is told what goes wrong beside any call.
func (c *Cluster) complain(err error) {
	if errors.Is(err, nats.ErrPermissionViolation) {
		denied := final{fmt.Errorf("the user may not do what is needed: %s; docs/fleet.md lists what to allow", deniedOf(err))}
		c.denied.Store(&denied)
		c.deny()
		c.fail(denied)
		return
	}
	c.log.Warn("connection to the NATS cluster: error", "error", err)
}

// deniedOf is what a server says that a user may not do, as it names it.
func deniedOf(err error) string {
	text := err.Error()
	if at := strings.Index(strings.ToLower(text), "permissions violation for "); at >= 0 {
		text = text[at+len("permissions violation for "):]
	}
	return text
}
