package testkit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificate is signed by itself, and so its own authority.
type Certificate struct {
	tls.Certificate
	CertFile, KeyFile string // where it and its key are, as PEM
}

// NewCertificate makes a certificate for 127.0.0.1 and the names that is valid now. Its
// files go with the test.
func NewCertificate(t testing.TB, names ...string) Certificate {
	t.Helper()
	return NewCertificateUntil(t, time.Now().Add(24*time.Hour), names...)
}

// NewCertificateUntil is NewCertificate for the two days before until.
func NewCertificateUntil(t testing.TB, until time.Time, names ...string) Certificate {
	t.Helper()
	dir := t.TempDir()
	c := Certificate{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: until.Add(-48 * time.Hour), NotAfter: until, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	NoError(t, err)
	for path, block := range map[string]*pem.Block{c.CertFile: {Type: "CERTIFICATE", Bytes: der}, c.KeyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		NoError(t, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
	}
	c.Certificate, err = tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	NoError(t, err)
	return c
}

// Pool returns a pool that trusts the certificate alone.
func (c Certificate) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.Leaf)
	return pool
}
