package main

import (
	"crypto/tls"
	"strconv"
	"strings"
	"testing"

	"pollbridge/admin/api"
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
	manage, err := api.New(p.private, key, nil)
	testkit.NoError(t, err)
	for i, name := range names {
		made, err := manage.CreateSubscription(t.Context(), api.NewSubscription{URL: urls[i]})
		testkit.NoError(t, err)
		attempt, err := manage.TestSubscription(t.Context(), made.ID)
		if want := name != "nobody"; err != nil || attempt.Success != want || !want && attempt.Error != "tls" {
			t.Errorf("the receiver of %s: %+v, %v", name, attempt, err)
		}
	}
}
