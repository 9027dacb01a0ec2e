package proxy_test

import (
	"fmt"
	"strings"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/proxy"
)

func TestConfigValidate(t *testing.T) {
	c := testkit.NewCertificate(t)
	certFile, keyFile := c.CertFile, c.KeyFile
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
