package main

import (
	"crypto/tls"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"pollbridge/internal/testkit"
)

// TestReceiversOfAPrivateAuthority: webhook.ca_file adds to what the system trusts.
func TestReceiversOfAPrivateAuthority(t *testing.T) {
	t.Parallel()
	var certFiles, urls, ports []string
	names := []string{"system", "private", "nobody"}
	for range names {
		c := testkit.NewCertificate(t)
		r := testkit.NewTLSReceiver(t, &tls.Config{Certificates: []tls.Certificate{c.Certificate}}, testkit.AnswerStatus(204))
		certFiles = append(certFiles, c.CertFile)
		urls, ports = append(urls, r.URL), append(ports, strconv.Itoa(r.Port()))
	}
	upstream, _, _ := standIn(t)
	const key = "a-key-of-this-test"
	p := begin(t, []string{
		"SSL_CERT_FILE=" + certFiles[0], "POLLBRIDGE_WEBHOOK_CA_FILE=" + certFiles[1],
		"POLLBRIDGE_WEBHOOK_ALLOW_NETWORKS=127.0.0.0/8", "POLLBRIDGE_WEBHOOK_ALLOW_PORTS=" + strings.Join(ports, ","), "POLLBRIDGE_ADMIN_KEY=" + key,
	}, "serve", "--upstream", upstream, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	p.awaitServing()
	call := func(path, body string) string {
		_, answer := ask("POST", p.private+"/v1/subscriptions"+path, body, "Authorization: Bearer "+key, "Content-Type: application/json")
		return answer
	}
	for i, name := range names {
		var made struct{ ID string }
		if err := json.Unmarshal([]byte(call("", `{"url":"`+urls[i]+`"}`)), &made); err != nil {
			t.Fatal(err)
		}
		attempt := call("/"+made.ID+"/test", "")
		if want := name != "nobody"; strings.Contains(attempt, `"success":true`) != want || !want && !strings.Contains(attempt, `"error":"tls"`) {
			t.Errorf("the receiver of %s: %s", name, attempt)
		}
	}
}
