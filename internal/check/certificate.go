package check

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// Authorities records a mistake unless the file at path holds certificates in PEM, or no path
// is set.
func (m *Mistakes) Authorities(key, path string) {
	_, err := Authorities(path, nil)
	m.Want(err == nil, key, path, fmt.Sprintf("a PEM file with at least one certificate, but: %v", err))
}

// Authorities adds what a file holds, certificates in PEM, to pool, or to an empty one if that
// is nil. Without a path it returns pool.
func Authorities(path string, pool *x509.CertPool) (*x509.CertPool, error) {
	if path == "" {
		return pool, nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, Reason(err)
	}
	if pool == nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in it")
	}
	return pool, nil
}

// KeyPair records a mistake unless a certificate and its key can be read, or neither is set.
func (m *Mistakes) KeyPair(certKey, certFile, keyKey, keyFile string) {
	switch {
	case certFile == "" && keyFile == "":
	case certFile == "":
		m.Add(certKey, "is not set, but "+keyKey+" is: want both or none")
	case keyFile == "":
		m.Add(keyKey, "is not set, but "+certKey+" is: want both or none")
	default:
		if m.File(certKey, certFile) && m.SecretFile(keyKey, keyFile) {
			_, err := tls.LoadX509KeyPair(certFile, keyFile)
			m.Want(err == nil, certKey, certFile, fmt.Sprintf("a PEM certificate with the key of %s, but: %v", keyKey, err))
		}
	}
}
