package proxy

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateChecks is how often the files of the certificate are looked at: a
// renewed certificate is used within this time, without a restart.
const certificateChecks = time.Minute

// load returns nil where no certificate is configured.
func (t TLSConfig) load(log *slog.Logger) (*tls.Config, error) {
	if t.CertFile == "" {
		return nil, nil
	}
	c := &certificate{files: t, log: log}
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
	files TLSConfig
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
	if time.Since(c.checked) >= certificateChecks {
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
