package admin_test

import (
	"fmt"
	"strings"
	"testing"

	"pollbridge/admin"
)

func TestConfigValidate(t *testing.T) {
	const secret = "fifteen-bytes-1"
	withTLS := admin.Config{Listen: ":1"}
	withTLS.TLS.CertFile, withTLS.TLS.KeyFile = "a", secret
	for _, test := range []struct {
		name   string
		config admin.Config
		want   string // a part of the error; empty: none
	}{
		{"the default", admin.DefaultConfig(), ""},
		{"a key", admin.Config{Listen: ":1", Keys: []string{secret + "6"}}, ""},
		{"listen", admin.Config{Listen: "8090"}, `listen: "8090": want HOST:PORT`},
		{"a key too short", admin.Config{Listen: ":1", Keys: []string{secret + "6", secret}}, `keys[1]: want at least 16`},
		{"TLS", withTLS, `tls.cert_file: "a": `},
		{"an empty key", admin.Config{Listen: ":1", Keys: []string{""}}, `keys[0]: want at least 16`},
		{"a key no header can carry", admin.Config{Listen: ":1", Keys: []string{secret + " \n6"}}, `keys[0]: want at least 16`},
	} {
		err := test.config.Validate()
		if (err == nil) != (test.want == "") || !strings.Contains(fmt.Sprint(err), test.want) {
			t.Errorf("%s: Validate() = %v; want %q", test.name, err, test.want)
		}
		if strings.Contains(fmt.Sprint(err), secret) {
			t.Errorf("%s: Validate() = %v shows the key", test.name, err)
		}
	}
}
