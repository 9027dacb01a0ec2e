package proxy

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pollbridge/internal/logtest"
)

// TestRenewedCertificate is inside of the package because the files are looked at
// once a minute only.
func TestRenewedCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := TLSConfig{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}
	var logged logtest.Buffer
	shown := &certificate{files: files, log: slog.New(slog.NewTextHandler(&logged, nil))}
	wantLog := func(words ...string) {
		t.Helper()
		lines := strings.Split(strings.TrimSpace(logged.String()), "\n")
		if len(lines) != len(words) {
			t.Fatalf("logged %q; want lines about %q", lines, words)
		}
		for i, word := range words {
			if !strings.Contains(lines[i], word) {
				t.Errorf("line %d is %s; want it to tell of %s", i, lines[i], word)
			}
		}
	}
	written := time.Now().Add(-time.Hour)
	renew := func(write ...string) []byte {
		t.Helper()
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
		cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		written = written.Add(time.Minute)
		for _, path := range write {
			block := &pem.Block{Type: "CERTIFICATE", Bytes: cert}
			if path == files.KeyFile {
				block = &pem.Block{Type: "PRIVATE KEY", Bytes: secret}
			}
			if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, written, written); err != nil {
				t.Fatal(err)
			}
		}
		return cert
	}
	aMinuteLater := func() []byte {
		shown.mu.Lock()
		shown.checked = time.Time{}
		shown.mu.Unlock()
		return shown.current().Certificate[0]
	}

	if err := shown.read(); err == nil {
		t.Error("read without files succeeds")
	}
	first := renew(files.CertFile, files.KeyFile)
	if err := shown.read(); err != nil {
		t.Fatal(err)
	}
	second := renew(files.CertFile, files.KeyFile)
	if got := shown.current().Certificate[0]; !bytes.Equal(got, first) {
		t.Error("the files were looked at again at once")
	}
	if got := aMinuteLater(); !bytes.Equal(got, second) {
		t.Error("the renewed certificate is not shown")
	}
	renew(files.CertFile)
	if got := aMinuteLater(); !bytes.Equal(got, second) {
		t.Error("a certificate whose key is not there yet is shown")
	}
	third := renew(files.CertFile, files.KeyFile)
	if got := aMinuteLater(); !bytes.Equal(got, third) {
		t.Error("the certificate is not shown after its key came")
	}
	aMinuteLater()
	wantLog("renewed", "cannot be read", "renewed")
	os.Remove(files.CertFile)
	for range 2 {
		if got := aMinuteLater(); !bytes.Equal(got, third) {
			t.Error("without files, the last certificate is not shown")
		}
	}
	wantLog("renewed", "cannot be read", "renewed", "cannot be read")
}
