// Package certificate shows the certificate in two files at a listener, renewed ones too.
package certificate

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"

	"pollbridge/internal/check"
)

// checks is how often the files are looked at: a
// renewed certificate is used within this time, without a restart.
const checks = time.Minute

// Files name a certificate and its key. Both are PEM, and both are set or none.
type Files struct {
	CertFile string `yaml:"cert_file"` // the certificate, followed by its intermediates
	KeyFile  string `yaml:"key_file" secret:"maybe"`
}

// Check records what is wrong with the files below key, which it reads.
func (f Files) Check(m *check.Mistakes, key string) {
	m.KeyPair(key+".cert_file", f.CertFile, key+".key_file", f.KeyFile)
}

// Load returns what a listener needs, or nil where no certificate is configured.
func (f Files) Load(log *slog.Logger) (*tls.Config, error) {
	if f.CertFile == "" {
		return nil, nil
	}
	c := &certificate{files: f, log: log}
	if err := c.readLocked(); err != nil { // nobody else has it yet
		return nil, err
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(), nil },
	}, nil
}

// certificate is the certificate in the files, as new as a check ago.
type certificate struct {
	files Files
	log   *slog.Logger

	mu      sync.Mutex
	loaded  *tls.Certificate // guarded by mu, as all below
	changed time.Time        // when the file was, as far as it is loaded
	checked time.Time
	failed  bool // the files could not be read at the last check
}

func (c *certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) >= checks {
		c.renewLocked()
	}
	return c.loaded
}

// renewLocked says what has changed. Half-written files are read again at the next check.
func (c *certificate) renewLocked() {
	before := c.loaded
	err := c.readLocked()
	switch {
	case err != nil && !c.failed:
		c.log.Warn("the certificate cannot be read; the last one is still used", "file", c.files.CertFile, "error", err)
	case c.loaded != before:
		c.log.Info("the certificate was renewed", "file", c.files.CertFile, "not_after", c.loaded.Leaf.NotAfter)
	}
	c.failed = err != nil
}

func (c *certificate) readLocked() error {
	c.checked = time.Now()
	info, err := os.Stat(c.files.CertFile)
	if err != nil {
		return err
	}
	if info.ModTime().Equal(c.changed) {
		return nil
	}
	loaded, err := tls.LoadX509KeyPair(c.files.CertFile, c.files.KeyFile)
	if err != nil {
		return err
	}
	c.loaded, c.changed = &loaded, info.ModTime()
	return nil
}
