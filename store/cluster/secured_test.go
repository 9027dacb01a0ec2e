package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/natscluster"
	"pollbridge/store"
	"pollbridge/store/cluster"
)

// TestServersThatWantACertificate: both ends have a certificate of a private authority, and show it.
func TestServersThatWantACertificate(t *testing.T) {
	t.Parallel()
	servers, replica, nobodys := testkit.NewCertificate(t), testkit.NewCertificate(t), testkit.NewCertificate(t)
	running := natscluster.Start(t, 1, natscluster.Settings{
		Extra: fmt.Sprintf("tls {cert_file: %q, key_file: %q, ca_file: %q, verify: true}", servers.CertFile, servers.KeyFile, replica.CertFile),
	})
	const (
		unknownAuthority = "failed to verify certificate: x509: certificate signed by unknown authority.*: check store.nats.ca_file"
		// The servers refuse a certificate when the replica takes the handshake for done: where it writes
		// after they have gone, it does not hear why.
		orGone   = "|tls error: connection closed by remote after TLS handshake"
		tellsWhy = ").*: the servers may require a certificate, or may not accept that in store.nats.cert_file"
	)
	for name, test := range map[string]struct {
		trusted string // the file of the authority
		shown   testkit.Certificate
		want    string // a pattern; "": it opens
	}{
		"both":                      {servers.CertFile, replica, ""},
		"the system's authorities":  {"", replica, unknownAuthority},
		"another authority":         {nobodys.CertFile, replica, unknownAuthority},
		"no certificate":            {servers.CertFile, testkit.Certificate{}, "(tls: certificate required" + orGone + tellsWhy},
		"a certificate of nobody's": {servers.CertFile, nobodys, "(tls: unknown certificate authority" + orGone + tellsWhy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := configOf(running)
			cfg.URL = "tls://" + running.Servers[0].Addr
			cfg.CAFile, cfg.CertFile, cfg.KeyFile = test.trusted, test.shown.CertFile, test.shown.KeyFile
			testkit.NoError(t, cfg.Validate())
			if test.want == "" {
				wantUsable(t, cfg)
			} else {
				wantFailure(t, cfg, "store: connect to the NATS cluster", test.want)
			}
		})
	}
}

// TestUserOfACredentialsFile: servers in operator mode know accounts, not users.
func TestUserOfACredentialsFile(t *testing.T) {
	t.Parallel()
	unlimited := jwt.JetStreamLimits{MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit}
	o := newOperator(t)
	system, fleet, plain := o.account(t, jwt.JetStreamLimits{}), o.account(t, unlimited), o.account(t, jwt.JetStreamLimits{})
	unknown := o.account(t, unlimited) // signed by the operator, too, but the servers were never told of it
	running := natscluster.Start(t, 1, natscluster.Settings{Extra: fmt.Sprintf(
		"operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: {%s: %s, %s: %s, %s: %s}",
		o.token, system.id, system.id, system.token, fleet.id, fleet.token, plain.id, plain.token)})
	cfg := configOf(running)

	t.Run("of a known account", func(t *testing.T) {
		t.Parallel()
		cfg := cfg
		cfg.CredentialsFile = fleet.credentials(t)
		testkit.NoError(t, cfg.Validate())
		wantUsable(t, cfg)
	})
	const checkUser = "Authorization Violation: check the user in store.nats.url, or store.nats.credentials_file"
	for name, test := range map[string]struct{ file, want string }{
		"of an account that is unknown":   {unknown.credentials(t), checkUser},
		"of an account without JetStream": {plain.credentials(t), "JetStream is not enabled for the account of this user: .* the account's JWT"},
		"none":                            {"", checkUser},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := cfg
			cfg.CredentialsFile = test.file
			if err := wantFailure(t, cfg, test.want); !errors.Is(err, cluster.ErrRefused) {
				t.Errorf("Open = %v, after which it is tried again", err)
			}
		})
	}
}

// TestTooLittleRoom: the error says what has to be raised.
func TestTooLittleRoom(t *testing.T) {
	t.Parallel()
	account := func(limits string) natscluster.Settings {
		return natscluster.Settings{Extra: "accounts {A: {jetstream: {" + limits + "}, users: [{user: a, password: sesame}]}}"}
	}
	for name, test := range map[string]struct {
		settings natscluster.Settings
		user     string
		want     string // a pattern
	}{
		"at the servers":         {natscluster.Settings{MaxStore: "1"}, "", "the servers need more room for JetStream .max_file_store"},
		"for the account":        {account("max_file: 1"), "a:sesame@", "the account's limits for JetStream have to be raised"},
		"no streams left for it": {account("max_streams: 1"), "a:sesame@", "the account's limit of streams has to be raised"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			running := natscluster.Start(t, 1, test.settings)
			cfg := configOf(running)
			cfg.URL = "nats://" + test.user + running.Servers[0].Addr
			nc := testkit.Must(nats.Connect(cfg.URL))(t)
			defer nc.Close()
			js := testkit.Must(jetstream.New(nc))(t)
			testkit.Must(js.CreateStream(testkit.Within(t), jetstream.StreamConfig{Name: "somebodys", Subjects: []string{"x"}}))(t)
			testkit.Must(js.Publish(testkit.Within(t), "x", nil))(t) // what was there before counts, and is more than the limit
			if err := wantFailure(t, cfg, "store: write to the NATS cluster", test.want); strings.Contains(err.Error(), "sesame") {
				t.Errorf("Open = %v: it shows the password", err)
			}
		})
	}
}

// wantUsable opens a cluster, writes to it and reads that back.
func wantUsable(t *testing.T, cfg cluster.Config) {
	t.Helper()
	s := openStore(t, cfg)
	things := testkit.Must(s.Bucket(testkit.Within(t), store.BucketConfig{Name: "things"}))(t)
	testkit.Must(things.Create(testkit.Within(t), "a", []byte("1"), 0))(t)
	if entry := testkit.Must(things.Get(testkit.Within(t), "a"))(t); string(entry.Value) != "1" {
		t.Errorf("Get = %q; want 1", entry.Value)
	}
}

// wantFailure opens a cluster, which has to fail with an error that matches all patterns, and returns that.
func wantFailure(t *testing.T, cfg cluster.Config, patterns ...string) error {
	t.Helper()
	// What is tried again is logged: one failure is enough.
	ctx, enough := context.WithCancel(testkit.Within(t))
	defer enough()
	c, err := cluster.Open(ctx, cfg, slog.New(slog.NewTextHandler(told(enough), nil)))
	if err == nil {
		c.Close()
		t.Fatal("Open succeeded")
	}
	t.Log(err)
	for _, want := range patterns {
		if !regexp.MustCompile(want).MatchString(err.Error()) {
			t.Errorf("Open = %v; want %q in it", err, want)
		}
	}
	return err
}

// told is called for what is written.
type told func()

func (f told) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

// operator signs accounts, which servers with its token believe.
type operator struct {
	key   nkeys.KeyPair
	token string
}

func newOperator(t *testing.T) operator {
	t.Helper()
	key := testkit.Must(nkeys.CreateOperator())(t)
	return operator{key, testkit.Must(jwt.NewOperatorClaims(testkit.Must(key.PublicKey())(t)).Encode(key))(t)}
}

// account is an account of an operator.
type account struct {
	key       nkeys.KeyPair
	id, token string
}

func (o operator) account(t *testing.T, limits jwt.JetStreamLimits) account {
	t.Helper()
	key := testkit.Must(nkeys.CreateAccount())(t)
	id := testkit.Must(key.PublicKey())(t)
	claims := jwt.NewAccountClaims(id)
	claims.Limits.JetStreamLimits = limits // zero: it has none
	return account{key, id, testkit.Must(claims.Encode(o.key))(t)}
}

// credentials is the path of the file of a user of the account who may do no more than
// docs/fleet.md and deploy/nats list.
func (a account) credentials(t *testing.T) string {
	t.Helper()
	key := testkit.Must(nkeys.CreateUser())(t)
	claims := jwt.NewUserClaims(testkit.Must(key.PublicKey())(t))
	allowed := testkit.Must(os.ReadFile("../../deploy/nats/permissions.conf"))(t)
	for _, line := range regexp.MustCompile(`(?m)^  "(.*)"$`).FindAllStringSubmatch(string(allowed), -1) {
		claims.Pub.Allow.Add(line[1])
	}
	if len(claims.Pub.Allow) == 0 { // which would allow all
		t.Fatalf("nothing is allowed by\n%s", allowed)
	}
	claims.Sub.Allow.Add("pollbridge.>")
	token := testkit.Must(claims.Encode(a.key))(t)
	content := testkit.Must(jwt.FormatUserConfig(token, testkit.Must(key.Seed())(t)))(t)
	path := filepath.Join(t.TempDir(), "user.creds")
	testkit.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}
