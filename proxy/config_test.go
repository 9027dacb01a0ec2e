package proxy_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pollbridge/proxy"
)

// certificateFiles writes a pair of files such as the listener takes.
func certificateFiles(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	key, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("tls.crt", "CERTIFICATE", server.Certificate().Raw), write("tls.key", "PRIVATE KEY", key)
}

func TestConfigValidate(t *testing.T) {
	certFile, keyFile := certificateFiles(t)
	for _, test := range []struct {
		name, listen, certFile, keyFile string
		want                            string // a part of the error; empty: none
	}{
		{"the default", ":8080", "", "", ""},
		{"https", "localhost:0", certFile, keyFile, ""},
		{"listen", "8080", "", "", `listen: "8080": want HOST:PORT`},
		{"a certificate alone", ":1", certFile, "", `tls.key_file: is not set, but tls.cert_file is`},
		{"a key alone", ":1", "", keyFile, `tls.cert_file: is not set, but tls.key_file is`},
		{"missing", ":1", certFile + "x", keyFile, `no such file or directory`},
		{"swapped", ":1", keyFile, certFile, `tls.cert_file: `},
		{"both mistakes", "8080", certFile, "/none", `no such file or directory`},
	} {
		c := proxy.DefaultConfig()
		c.Listen, c.TLS.CertFile, c.TLS.KeyFile = test.listen, test.certFile, test.keyFile
		err := c.Validate()
		if (err == nil) != (test.want == "") || !strings.Contains(fmt.Sprint(err), test.want) {
			t.Errorf("%s: Validate() = %v; want %q", test.name, err, test.want)
		}
	}
}
