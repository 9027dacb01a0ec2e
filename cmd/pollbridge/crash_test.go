package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pollbridge/admin/api"
	"pollbridge/internal/testkit"
	"pollbridge/simulator"
)

const managementKey = "management-key-16"

// durable is a program with a data directory that outlives it.
type durable struct {
	*process
	t    testing.TB
	env  []string
	args []string
	dir  string
	logs []string // of the processes before this one
}

func launchDurable(t testing.TB, upstream string, settings string) *durable {
	t.Helper()
	d := prepareDurable(t, upstream, settings)
	d.start()
	return d
}

func prepareDurable(t testing.TB, upstream string, settings string) *durable {
	t.Helper()
	folder := t.TempDir()
	file := filepath.Join(folder, "pollbridge.yaml")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &durable{t: t, dir: filepath.Join(folder, "data"), env: []string{"POLLBRIDGE_ADMIN_KEY=" + managementKey}}
	d.args = []string{
		"serve", "--config", file, "--upstream", upstream, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir", d.dir,
	}
	return d
}

func (d *durable) start() {
	d.t.Helper()
	d.process = begin(d.t, d.env, d.args...)
	d.awaitServing()
}

// crash kills the process as the kernel would, and starts another.
func (d *durable) crash() {
	d.t.Helper()
	d.Kill()
	d.logs = append(d.logs, d.Log.String())
	d.start()
}

// api is a client of the management API of the process that runs now.
func (d *durable) api() *api.Client {
	d.t.Helper()
	c, err := api.New(d.private, managementKey, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second})
	testkit.NoError(d.t, err)
	return c
}

func wantNotFound(t testing.TB, what string, err error) {
	t.Helper()
	if p, ok := errors.AsType[*api.Problem](err); !ok || p.Status != http.StatusNotFound {
		t.Errorf("%s: %v; want 404", what, err)
	}
}

func (d *durable) subscribe(r *webhookReceiver) string {
	d.t.Helper()
	made, err := d.api().CreateSubscription(d.t.Context(), api.NewSubscription{URL: r.URL + "/hook"})
	testkit.NoError(d.t, err)
	r.setSecret(made.Secret)
	return made.ID
}

// wantNothingInClear looks for secrets in the data directory and in the logs.
func (d *durable) wantNothingInClear(secrets ...string) {
	d.t.Helper()
	for _, log := range append(d.logs, d.Log.String()) {
		for _, secret := range secrets {
			if strings.Contains(log, secret) {
				d.t.Errorf("the log holds %q", secret)
			}
		}
	}
	files := 0
	err := filepath.WalkDir(d.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil // it goes while we look
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		files++
		for _, secret := range secrets {
			if strings.Contains(string(text), secret) {
				d.t.Errorf("%s holds %q", path, secret)
			}
		}
		return nil
	})
	if err != nil || files == 0 {
		d.t.Errorf("looked into %d files: %v", files, err)
	}
}

func webhookSettings(r *webhookReceiver, more string) string {
	return fmt.Sprintf(`
webhook:
  allow_http: true
  allow_networks: [127.0.0.0/8]
  allow_ports: [%d]
  retries: [50ms, 100ms, 200ms, 400ms, 800ms, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s]
watch: {interval: 200ms}
cache: {pending_ttl: 200ms}
%s`, r.Port(), more)
}

func startSigning(t testing.TB, p *process, credential string) (token string) {
	t.Helper()
	body := fmt.Sprintf(`{"access_token":%q,"type":"pdf","document_number":"PNOLT-1","code":"38001085718","country":"LT","phone":"+37060000000","file":{"name":"a.pdf","digest":"00","content":"AAAA"}}`, credential)
	status, text := ask("POST", p.public+"/smartid/sign.json", body, "Content-Type: application/json")
	var answer struct{ Token string }
	if err := json.Unmarshal([]byte(text), &answer); err != nil || status != 200 || answer.Token == "" {
		t.Fatalf("the start call = %d %s", status, text)
	}
	return answer.Token
}

// TestNothingIsLostInCrashes is promises 2, 4 and 5: every signing's end reaches the
// subscriber, under one id, though a third of the attempts fail and the program is
// killed three times meanwhile.
func TestNothingIsLostInCrashes(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a quarter of a minute")
	}
	const signings = 200
	_, upstream := testkit.Simulate(t, func(cfg *simulator.Config) {
		cfg.SignAfter = simulator.Uniform(time.Second, 10*time.Second)
		cfg.FileSize = 8 << 10
	})
	r := newWebhookReceiver(t, func(attempt int) bool { return attempt%3 == 0 })
	d := launchDurable(t, upstream, webhookSettings(r, ""))
	d.subscribe(r)
	var tokens []string
	for range signings {
		tokens = append(tokens, startSigning(t, d.process, "sesame-account-1"))
	}
	for _, after := range []int{20, 90, 150} {
		testkit.Eventually(t, fmt.Sprintf("%d signings have ended", after), func() bool { return len(r.finals()) >= after })
		d.crash()
	}
	testkit.Eventually(t, "all signings have ended", func() bool { return len(r.finals()) == signings })
	finals := r.finals()
	for _, token := range tokens {
		if len(finals[token]) != 1 {
			t.Errorf("the end of %s came under the ids %v; want one", token, finals[token])
		}
	}
	if stats, err := d.api().Stats(t.Context()); err != nil || stats.Polls.Sent == 0 || stats.Polls.Asked < stats.Polls.Sent {
		t.Errorf("the figures are %+v, %v; want no more polls sent than asked", stats.Polls, err)
	}
	d.wantNothingInClear("sesame-account-1", strings.TrimPrefix(r.secret, "whsec_"), tokens[0])
	if code, took := d.terminate(); code != 0 || took > 10*time.Second {
		t.Errorf("SIGTERM: exit code %d after %v", code, took)
	}
}

// TestSubscribedAfterThePoll: a session that was polled before somebody subscribed is watched from the
// next poll on, though memory answers that.
func TestSubscribedAfterThePoll(t *testing.T) {
	t.Parallel()
	sim, upstream := testkit.Simulate(t, nil)
	r := newWebhookReceiver(t, nil)
	d := prepareDurable(t, upstream, webhookSettings(r, ""))
	d.env = append(d.env, "POLLBRIDGE_CACHE_PENDING_TTL=10m", "POLLBRIDGE_WATCH_INTERVAL=10m")
	d.start()
	signing, err := sim.Start(simulator.StartRequest{AccessToken: "sesame-1", SignAfter: time.Hour})
	testkit.NoError(t, err)
	poll := func() {
		t.Helper()
		if status, text := ask("POST", d.public+"/smartid/sign/status/"+signing.Token+".json", someBody); status != 200 || !strings.Contains(text, "waiting") {
			t.Fatalf("the poll = %d %s", status, text)
		}
	}
	poll()
	d.subscribe(r)
	poll()
	testkit.Eventually(t, "the session is told of", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.accepted) == 1 && r.accepted[0].Data["token"] == signing.Token
	})
}

// TestOneShotDocumentSurvives is promise 2: the upstream gives the document once and
// then knows nothing about it.
func TestOneShotDocumentSurvives(t *testing.T) {
	t.Parallel()
	sim, upstream := testkit.Simulate(t, func(cfg *simulator.Config) {
		cfg.OneShot = true
		cfg.FileSize = 3 << 20
	})
	d := launchDurable(t, upstream, "cache: {pending_ttl: 200ms}\n")
	signing, err := sim.Start(simulator.StartRequest{AccessToken: "sesame-1", SignAfter: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	path := "/smartid/sign/status/" + signing.Token + ".json"
	var document string
	testkit.Eventually(t, "the document is signed", func() bool {
		_, document = ask("POST", d.public+path, someBody)
		return strings.Contains(document, `"ok"`)
	})
	for range 2 {
		d.crash()
		if status, text := ask("POST", d.public+path, someBody); status != 200 || text != document {
			t.Errorf("after the crash: %d and %d bytes %.100s; want the document, %d bytes", status, len(text), text, len(document))
		}
		if status, text := ask("POST", d.public+path, `{"access_token":"sesame-2"}`); strings.Contains(text, `"ok"`) {
			t.Errorf("somebody else's credential gets %d %.100s", status, text)
		}
	}
	var answer struct{ File struct{ Content string } }
	if err := json.Unmarshal([]byte(document), &answer); err != nil || len(answer.File.Content) < 3<<20 {
		t.Fatalf("%v, %d bytes of content", err, len(answer.File.Content))
	}
	d.wantNothingInClear("sesame-1", answer.File.Content[:64], signing.Token)
}

// TestErasure: what is deleted is not answered, shown or told any more.
func TestErasure(t *testing.T) {
	t.Parallel()
	sim, upstream := testkit.Simulate(t, func(cfg *simulator.Config) { cfg.OneShot = true })
	r := newWebhookReceiver(t, nil)
	d := launchDurable(t, upstream, webhookSettings(r, ""))
	d.subscribe(r)
	signing, err := sim.Start(simulator.StartRequest{AccessToken: "sesame-1", SignAfter: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	path := "/smartid/sign/status/" + signing.Token + ".json"
	testkit.Eventually(t, "the document is signed and told of", func() bool {
		_, text := ask("POST", d.public+path, someBody)
		return strings.Contains(text, `"ok"`) && len(r.finals()) == 1
	})
	manage := d.api()
	page, err := manage.Sessions(t.Context(), "", api.Page{})
	testkit.NoError(t, err)
	id := page.Items[0].ID
	testkit.NoError(t, manage.DeleteSession(t.Context(), id))
	if status, text := ask("POST", d.public+path, someBody); strings.Contains(text, `"ok"`) {
		t.Errorf("a poll after it is answered %d %.100s", status, text)
	}
	_, err = manage.Session(t.Context(), id)
	wantNotFound(t, "the session", err)
	_, err = manage.Response(t.Context(), id)
	wantNotFound(t, "its answer", err)
	if events, err := manage.Events(t.Context(), api.EventQuery{}); err != nil || len(events.Items) > 0 {
		t.Errorf("its events are there still: %v, %v", events, err)
	}
	wantNotFound(t, "deleting it again", manage.DeleteSession(t.Context(), id))
}
