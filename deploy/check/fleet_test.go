package check

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/simulator"
)

const (
	adminKey = "0123456789abcdef0123"
	password = "1e5" // what a server would take for a number if it stood there bare
)

// TestFleet: what compose.yaml starts passes signings on and tells receivers of them, also of
// those that a replica looked after which dies; Prometheus finds the replicas, and what alerts and
// the dashboard ask for is there.
func TestFleet(t *testing.T) {
	t.Parallel()
	_, upstream := testkit.Simulate(t, func(c *simulator.Config) {
		testkit.NoError(t, c.SignAfter.UnmarshalText([]byte("4s")))
	})
	receiver := testkit.NewReceiver(t, nil)

	h := startFleet(t, upstream, receiver)
	front, management := "http://"+h.address("haproxy", "8080"), "http://"+h.address("haproxy", "8090")

	t.Run("health check", func(t *testing.T) {
		if out, err := h.command(replicas[0], ownImage(t).healthcheck...).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})

	var subscription struct{ Secret string }
	call(t, "POST", management+"/v1/subscriptions", `{"url":"`+receiver.URL+`"}`, &subscription)

	// With so many, each replica looks after some.
	const signings = 12
	for range signings {
		var begun struct{ Token string }
		call(t, "POST", front+"/en/smartid/sign.json", `{"access_token":"test","type":"pdf","country":"LT","code":"50001010006"}`, &begun)
		var polled struct{ Status string }
		call(t, "POST", front+"/en/smartid/sign/status/"+begun.Token+".json", `{"access_token":"test"}`, &polled)
		if polled.Status != "waiting" {
			t.Errorf("a poll is answered %q", polled.Status)
		}
	}
	h.running["pollbridge-2"].Kill()
	ids := map[any]map[string]bool{} // of the ends of signings, by token
	testkit.Eventually(t, "the ends of all signings were told", func() bool {
		for _, w := range receiver.Got() {
			testkit.NoError(t, w.Verify(subscription.Secret))
			if token := w.Data["token"]; w.Type == "session.succeeded" {
				if ids[token] == nil {
					ids[token] = map[string]bool{}
				}
				ids[token][w.ID()] = true
			}
		}
		return len(ids) == signings
	})
	for token, of := range ids {
		if len(of) > 1 {
			t.Errorf("the end of %v was told under the ids %v", token, of)
		}
	}
	h.start("pollbridge-2")
	h.answers("pollbridge-2", "8090", "/readyz")
	testkit.Eventually(t, "the replica has its share again", h.balanced)

	t.Run("Prometheus", func(t *testing.T) { h.observed(t) })

	var sessions struct{ Items []struct{ ID string } }
	call(t, "GET", management+"/v1/sessions?limit=1", "", &sessions)
	if answer := testkit.Do(t, "DELETE", management+"/v1/sessions/"+sessions.Items[0].ID, "", "Authorization: Bearer "+adminKey); answer.Status != http.StatusNoContent {
		t.Errorf("a session's deletion is answered %d %s", answer.Status, answer.Body)
	}
	for _, name := range replicas {
		if _, denied, found := strings.Cut(h.running[name].Log.String(), "the user may not do"); found {
			t.Errorf("%s was not allowed something: %.200s", name, denied)
		}
	}
}

var (
	servers  = []string{"nats-1", "nats-2", "nats-3"}
	replicas = []string{"pollbridge-1", "pollbridge-2", "pollbridge-3"}
)

// startFleet starts what compose.yaml has, but for Grafana, and waits until each replica has its
// share of the sessions.
func startFleet(t *testing.T, upstream string, receiver *testkit.Receiver) *host {
	t.Helper()
	deployed := t.TempDir()
	for _, part := range []string{"docs", "deploy/nats", "deploy/haproxy", "deploy/prometheus", "deploy/grafana"} {
		testkit.NoError(t, os.CopyFS(filepath.Join(deployed, part), os.DirFS(filepath.Join(tree, part))))
	}
	write := func(name, text string) {
		testkit.NoError(t, os.WriteFile(filepath.Join(deployed, "deploy", name), []byte(text), 0o600))
	}
	write("compose.yaml", read(t, "deploy/compose.yaml"))
	write("store.key", storeKey)
	write("pollbridge.env", fmt.Sprintf("POLLBRIDGE_WEBHOOK_ALLOW_HTTP=true\nPOLLBRIDGE_WEBHOOK_ALLOW_NETWORKS=127.0.0.0/8\nPOLLBRIDGE_WEBHOOK_ALLOW_PORTS=%d\n", receiver.Port()))
	h := newHost(t, compose(t, filepath.Join(deployed, "deploy/compose.yaml"),
		"POLLBRIDGE_UPSTREAM_URL="+upstream, "POLLBRIDGE_ADMIN_KEY="+adminKey, "NATS_PASSWORD="+password, "GRAFANA_PASSWORD=sesame"))
	h.start(servers...)
	for _, name := range servers {
		h.answers(name, "8222", "/healthz")
	}
	h.start(replicas...)
	for _, name := range replicas {
		h.answers(name, "8090", "/readyz")
	}
	h.start("haproxy", "prometheus")
	h.answers("haproxy", "8090", "/readyz")
	testkit.Eventually(t, "the replicas have shared the sessions out", h.balanced)
	return h
}

// balanced reports whether each of three replicas looks after a third of all sessions.
func (h *host) balanced() bool {
	var list struct{ Items []struct{ Share float64 } }
	call(h.t, "GET", "http://"+h.address("haproxy", "8090")+"/v1/replicas", "", &list)
	for _, r := range list.Items {
		if r.Share < 0.9/3 {
			return false
		}
	}
	return len(list.Items) == 3
}

// answers waits until a service answers 200.
func (h *host) answers(service, port, path string) {
	h.t.Helper()
	p, url := h.running[service], "http://"+h.address(service, port)+path
	testkit.Eventually(h.t, service+" answers "+path, func() bool {
		select {
		case <-p.Ended():
			h.t.Fatalf("%s has ended", service)
		default:
		}
		answer, err := http.Get(url)
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

// call calls the fleet and reads what it answers.
func call(t *testing.T, method, url, body string, into any) {
	t.Helper()
	fields := []string{"Content-Type: application/json"}
	if strings.Contains(url, "/v1/") {
		fields = append(fields, "Authorization: Bearer "+adminKey)
	}
	answer := testkit.Do(t, method, url, body, fields...)
	if answer.Status/100 != 2 {
		t.Fatalf("%s %s is answered %d %s", method, url, answer.Status, answer.Body)
	}
	testkit.NoError(t, json.Unmarshal([]byte(answer.Body), into))
}

// observed checks what Prometheus knows of the fleet.
func (h *host) observed(t *testing.T) {
	address := "http://" + h.address("prometheus", "9090")
	type sample struct {
		Metric map[string]string
		Value  [2]any
	}
	query := func(expression string) []sample {
		t.Helper()
		var answer struct{ Data struct{ Result []sample } }
		call(t, "GET", address+"/api/v1/query?query="+url.QueryEscape(expression), "", &answer)
		return answer.Data.Result
	}
	testkit.Eventually(t, "all replicas are scraped", func() bool { return len(query(`up{job="pollbridge"} == 1`)) == len(replicas) })

	var rules struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError, State string }
			}
		}
	}
	known := 0
	testkit.Eventually(t, "all alerts were looked at", func() bool {
		call(t, "GET", address+"/api/v1/rules", "", &rules)
		known = 0
		for _, group := range rules.Data.Groups {
			for _, rule := range group.Rules {
				if rule.Health != "unknown" {
					known++
				}
			}
		}
		return known > 0 && known == strings.Count(read(t, "docs/alerts.yaml"), "- alert:")
	})
	for _, group := range rules.Data.Groups {
		for _, rule := range group.Rules {
			if rule.Health != "ok" || rule.State == "firing" {
				t.Errorf("alert %s is %s, %s %s", rule.Name, rule.State, rule.Health, rule.LastError)
			}
		}
	}
	testkit.Eventually(t, "the signings were scraped", func() bool {
		return len(query(`pollbridge_deliveries_total{result="delivered"} > 0`)) > 0
	})
	for _, e := range expressions(t) {
		query(e.text) // refused if it is wrong
		for _, s := range e.selectors {
			series := query(s.text)
			if len(series) == 0 {
				t.Errorf("%s: there is no %s", e.where, s.text)
				continue
			}
			for _, label := range append(s.labels, e.labels...) {
				if _, has := series[0].Metric[label]; !has {
					t.Errorf("%s: %s has no label %s", e.where, s.metric, label)
				}
			}
		}
	}
}
