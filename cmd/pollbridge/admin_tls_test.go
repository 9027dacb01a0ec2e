package main

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"pollbridge/internal/testkit"
)

// TestManagementOverTLS also has a browser log in, with the cookie that https alone gets.
func TestManagementOverTLS(t *testing.T) {
	t.Parallel()
	url, _, release := standIn(t)
	close(release)
	certificate := testkit.NewCertificate(t)
	tlsEnv := []string{"POLLBRIDGE_ADMIN_TLS_CERT_FILE=" + certificate.CertFile, "POLLBRIDGE_ADMIN_TLS_KEY_FILE=" + certificate.KeyFile}
	p := begin(t, append(tlsEnv, "POLLBRIDGE_ADMIN_KEY="+managementKey), "serve", "--upstream", url, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	p.awaitServing()
	listen := strings.TrimPrefix(p.private, "http://")
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: certificate.Pool()}}}
	defer client.CloseIdleConnections()
	login, err := http.NewRequest("POST", "https://"+listen+"/login", strings.NewReader(`{"key":"`+managementKey+`"}`))
	testkit.NoError(t, err)
	login.Header.Set("Sec-Fetch-Site", "same-origin")
	answer, err := client.Do(login)
	testkit.NoError(t, err)
	answer.Body.Close()
	if answer.StatusCode != 204 || len(answer.Cookies()) != 1 || answer.Cookies()[0].Name != "__Host-pollbridge" {
		t.Fatalf("login = %d %v", answer.StatusCode, answer.Cookies())
	}
	stats, err := http.NewRequest("GET", "https://"+listen+"/v1/stats", nil)
	testkit.NoError(t, err)
	stats.AddCookie(answer.Cookies()[0])
	answer, err = client.Do(stats)
	testkit.NoError(t, err)
	answer.Body.Close()
	if answer.StatusCode != 200 {
		t.Errorf("stats with the cookie = %d; want 200", answer.StatusCode)
	}
	if code, _, errOut := runProgram(t, append(tlsEnv[:1:1], "POLLBRIDGE_ADMIN_LISTEN="+listen), "healthcheck"); code != 0 {
		t.Errorf("healthcheck = %d %q; want 0", code, errOut)
	}
	if code, _, _ := runProgram(t, []string{"POLLBRIDGE_ADMIN_LISTEN=" + listen}, "healthcheck"); code != 1 {
		t.Errorf("healthcheck over http = %d; want 1", code)
	}
}
