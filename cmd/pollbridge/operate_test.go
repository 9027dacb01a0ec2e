package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unicode"

	"pollbridge/admin/api"
	"pollbridge/internal/testkit"
	"pollbridge/simulator"
)

// operator types commands for a bridge on this machine, of which they find the key in its
// data directory.
type operator struct {
	t   testing.TB
	env []string
	dir string
}

// operate starts a bridge that makes its own key and may send to r, and returns its
// operator.
func operate(t testing.TB, upstream string, r *webhookReceiver) (*operator, *durable) {
	t.Helper()
	d := prepareDurable(t, upstream, webhookSettings(r, ""))
	d.env = nil
	d.start()
	return &operator{t, []string{"POLLBRIDGE_ADMIN_LISTEN=" + strings.TrimPrefix(d.private, "http://")}, d.dir}, d
}

// run types a command, with what it reads.
func (o *operator) run(in string, args ...string) (code int, out, errOut string) {
	o.t.Helper()
	c := command(o.t, o.env, append(args, "--data-dir", o.dir)...)
	var stdout, stderr bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(in), &stdout, &stderr
	if err := c.Run(); err != nil && c.ProcessState == nil {
		o.t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// shows fails the test unless a command succeeds and shows all parts. It returns what was
// printed.
func (o *operator) shows(args []string, parts ...string) string {
	o.t.Helper()
	code, out, errOut := o.run("", args...)
	if code != 0 {
		o.t.Fatalf("%v = %d: %s%s", args, code, out, errOut)
	}
	for _, part := range parts {
		if !strings.Contains(out, part) {
			o.t.Errorf("%v printed\n%s; want %q in it", args, out, part)
		}
	}
	return out
}

// fails fails the test unless a command ends with a code and says all parts of why.
func (o *operator) fails(code int, args []string, parts ...string) {
	o.t.Helper()
	got, out, errOut := o.run("", args...)
	if got != code {
		o.t.Errorf("%v = %d: %s%s; want %d", args, got, out, errOut, code)
	}
	for _, part := range parts {
		if !strings.Contains(errOut, part) {
			o.t.Errorf("%v said %q; want %q in it", args, errOut, part)
		}
	}
}

// lines are the objects that a command prints with --json.
func lines[T any](o *operator, args ...string) (all []T) {
	o.t.Helper()
	return decode[T](o.t, o.shows(append(args, "--json")))
}

func decode[T any](t testing.TB, text string) (all []T) {
	t.Helper()
	for line := range strings.Lines(text) {
		var one T
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%q is no object: %v", line, err)
		}
		all = append(all, one)
	}
	return all
}

// management is a management API that answers whatever it likes.
func management(answer http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			fmt.Fprintf(w, `{"status":"ok","name":%q}`, api.Name)
			return
		}
		answer(w, r)
	})
}

func words(line string) []string { return strings.Fields(line) }

func TestSubscriptionsFromATerminal(t *testing.T) {
	t.Parallel()
	r := newWebhookReceiver(t, func(attempt int) bool { return attempt == 2 })
	_, upstream := testkit.Simulate(t, nil)
	o, d := operate(t, upstream, r)
	o.shows(words("subscriptions list"), "There are no subscriptions", "pollbridge subscriptions create URL")

	code, out, errOut := o.run("Authorization: Bearer sesame-header\n\nX-Team: a\n", "subscriptions", "create", r.URL+"/hook",
		"--events", "session.succeeded,session.pending", "--headers-file", "-", "--description", "for the team", "--json")
	if code != 0 {
		t.Fatalf("create = %d %s", code, errOut)
	}
	made := decode[api.SubscriptionWithSecret](t, out)[0]
	r.setSecret(made.Secret)
	if len(made.Events) != 2 || len(made.Headers) != 2 || !strings.HasPrefix(made.Secret, "whsec_") {
		t.Errorf("create made %+v", made)
	}
	o.shows(words("subscriptions list"), "ID ", made.ID+"  enabled", r.URL+"/hook", "session.succeeded, session.pending", "now")
	o.shows([]string{"subscriptions", "show", made.ID}, "for the team", "Authorization, X-Team")

	t.Log("an empty value takes a filter away, and what is not named stays")
	o.shows([]string{"subscriptions", "update", made.ID, "--events=", "--headers-file=", "--include-file"}, "all of sessions", "for the team")
	o.shows([]string{"subscriptions", "update", made.ID, "--no-include-file", "--endpoints", "smartid-sign,mobile-sign"}, "smartid-sign, mobile-sign")
	o.fails(exitMisused, []string{"subscriptions", "update", made.ID}, "nothing to change")
	if now := lines[api.Subscription](o, "subscriptions", "show", made.ID)[0]; len(now.Events)+len(now.Headers) != 0 || len(now.Endpoints) != 2 || now.IncludeFile {
		t.Errorf("after the changes it is %+v", now)
	}

	t.Log("a test that fails is a failure")
	o.shows([]string{"subscriptions", "test", made.ID}, "delivered, HTTP 204")
	o.fails(exitFailed, []string{"subscriptions", "test", made.ID}, "the receiver did not take webhook.test", "500")

	o.shows([]string{"subscriptions", "disable", made.ID}, "disabled, by request")
	o.fails(exitRefused, []string{"subscriptions", "recover", made.ID, "--since", "1h"}, "refused: the subscription is disabled: enable it first")
	watchSigning(t, o, startSigning(t, d.process, "sesame-1"))
	testkit.Eventually(t, "what it misses has ended", func() bool {
		return len(lines[api.Session](o, "sessions", "list", "--state", "succeeded")) == 1
	})
	o.shows([]string{"subscriptions", "enable", made.ID}, "enabled")
	o.shows([]string{"subscriptions", "recover", made.ID, "--since", "1h"}, "begun again", "deliveries list --subscription "+made.ID)
	var delivered []api.Delivery
	testkit.Eventually(t, "it is delivered", func() bool {
		delivered = lines[api.Delivery](o, "deliveries", "list", "--subscription", made.ID, "--state", "delivered")
		return len(delivered) > 0
	})
	before := r.Count()
	o.shows([]string{"deliveries", "redeliver", delivered[0].ID}, delivered[0].ID)
	r.Wait(t, before+1)

	rotated := decode[api.SubscriptionWithSecret](t, o.shows([]string{"subscriptions", "rotate-secret", made.ID, "--json"}))[0]
	if rotated.Secret == made.Secret || !strings.HasPrefix(rotated.Secret, "whsec_") {
		t.Errorf("rotate-secret made %+v", rotated)
	}
	t.Log("secrets are shown by what made them, and by nothing else")
	everything := d.Log.String()
	for _, args := range []string{"subscriptions list", "subscriptions list --json", "subscriptions show " + made.ID, "subscriptions show --json " + made.ID,
		"sessions list --json", "deliveries list --json", "stats", "complete -- subscriptions show ", "completion bash"} {
		_, out, errOut := o.run("", words(args)...)
		everything += out + errOut
	}
	for _, secret := range []string{"whsec_", "sesame"} {
		if strings.Contains(everything, secret) {
			t.Errorf("%s is shown in\n%s", secret, everything)
		}
	}

	o.shows([]string{"subscriptions", "delete", made.ID}, "Deleted "+made.ID)
	o.fails(exitRefused, []string{"subscriptions", "show", made.ID}, "refused: nothing with this id is stored")
}

// watchSigning has a signing watched, by a credential on standard input.
func watchSigning(t testing.TB, o *operator, token string) string {
	t.Helper()
	code, out, errOut := o.run("sesame-1\n", "sessions", "watch", "smartid-sign", token, "--access-token-file", "-", "--json")
	if code != 0 {
		t.Fatalf("sessions watch = %d %s", code, errOut)
	}
	return decode[api.RegisteredSession](t, out)[0].ID
}

func TestSessionsAndDeliveriesFromATerminal(t *testing.T) {
	t.Parallel()
	r := newWebhookReceiver(t, nil)
	sim, upstream := testkit.Simulate(t, func(cfg *simulator.Config) { cfg.SignAfter = simulator.Fixed(never) })
	o, d := operate(t, upstream, r)
	token := startSigning(t, d.process, "sesame-1")
	o.fails(exitMisused, []string{"sessions", "watch", "smartid-sign", token}, "--access-token-file", "POLLBRIDGE_ACCESS_TOKEN")
	o.fails(exitMisused, []string{"sessions", "watch", "smartid-sign", token, "--access-token-file", "/sesame"}, "not shown")
	o.env = append(o.env, "POLLBRIDGE_ACCESS_TOKEN=sesame-1")
	o.fails(exitMisused, []string{"sessions", "watch", "smartid-sign", token, "--include-file"}, "--webhook: is needed")
	o.fails(exitRefused, []string{"sessions", "watch", "smart", token}, `endpoint: "smart" is not known: want one of smartid-sign`)

	secret := "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
	file := filepath.Join(t.TempDir(), "secret")
	testkit.NoError(t, os.WriteFile(file, []byte(secret+"\n"), 0o600))
	r.setSecret(secret)
	out := o.shows([]string{"sessions", "watch", "smartid-sign", token, "--webhook", r.URL, "--secret-file", file}, "smartid-sign", "subscription", "watched")
	if strings.Contains(out, secret) || strings.Contains(out, token) || strings.Contains(out, "sesame") {
		t.Errorf("sessions watch repeats a secret or a token:\n%s", out)
	}
	id := lines[api.Session](o, "sessions", "list")[0].ID
	r.Wait(t, 1)
	testkit.NoError(t, sim.Finish(token, simulator.Succeeded))
	r.Wait(t, 2)
	testkit.Eventually(t, "both are delivered", func() bool {
		return len(lines[api.Delivery](o, "deliveries", "list", "--session", id, "--state", "delivered")) == 2
	})
	shown := o.shows([]string{"sessions", "show", id}, "succeeded, final", "watched", "no", "AT ", "session.pending", "session.succeeded", "pending -> succeeded", "attempt", "delivered, HTTP 204")
	if strings.Contains(shown, token) {
		t.Errorf("sessions show tells the whole token:\n%s", shown)
	}
	if whole := lines[wholeSession](o, "sessions", "show", id)[0]; whole.ID != id || len(whole.Events) != 2 || len(whole.Deliveries) != 2 || len(whole.Deliveries[1].Attempts) != 1 {
		t.Errorf("sessions show = %+v; want two events, and the deliveries of both", whole)
	}
	o.shows(words("sessions list"), id+"  succeeded")
	_, _, errOut := o.run("", words("deliveries list --limit 1")...)
	if !strings.Contains(errOut, "--limit 0 lists all") {
		t.Errorf("a list that is cut says %q", errOut)
	}
	if all := lines[api.Delivery](o, "deliveries", "list", "--limit", "0"); len(all) != 2 {
		t.Errorf("--limit 0 lists %d deliveries; want 2", len(all))
	}
	delivery := lines[api.Delivery](o, "deliveries", "list", "--limit", "1")[0].ID
	o.shows(words("deliveries list"), delivery+"  delivered")
	o.shows([]string{"deliveries", "show", delivery}, "ATTEMPTED", "delivered, HTTP 204")
	o.shows(words("stats"), "polls asked", "breaker", "closed")
	if stats := lines[api.Stats](o, "stats"); len(stats) != 1 || stats[0].Polls.Asked == 0 {
		t.Errorf("stats = %+v", stats)
	}
	o.shows([]string{"sessions", "forget", id}, "Forgot "+id)
	o.fails(exitRefused, []string{"sessions", "show", id}, "nothing with this id")
	o.shows(words("deliveries list"), "There are no such deliveries.")
}

// TestFollowing: what is followed goes on when the bridge comes back, and nothing of it is
// missed.
func TestFollowing(t *testing.T) {
	t.Parallel()
	r := newWebhookReceiver(t, nil)
	_, upstream := testkit.Simulate(t, nil)
	d := prepareDurable(t, upstream, webhookSettings(r, ""))
	listen := "127.0.0.1:" + testkit.Ports(t, 1)[0]
	d.env, d.args = nil, append(d.args, "--admin-listen", listen)
	d.start()
	o := &operator{t, []string{"POLLBRIDGE_ADMIN_LISTEN=" + listen}, d.dir}
	r.setSecret(decode[api.SubscriptionWithSecret](t, o.shows([]string{"subscriptions", "create", r.URL, "--json"}))[0].Secret)
	tail := o.follow("events", "tail", "--json", "--all")
	people := o.follow("events", "tail", "--all")
	watched := o.follow("deliveries", "list", "--watch", "--interval", "100ms")

	first := startSigning(t, d.process, "sesame-1")
	tail.await(2, first)
	people.await(1, "pending -> succeeded")
	watched.await(2, `"delivered"`)
	if code, _ := d.terminate(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	for _, f := range []*following{tail, people, watched} {
		testkit.Eventually(t, "it says that the bridge is away, or drains", func() bool { return strings.Contains(f.Log.String(), "trying again") })
	}
	d.start()
	second := startSigning(t, d.process, "sesame-1")
	tail.await(2, second)
	people.await(2, "pending -> succeeded")
	watched.await(4, `"delivered"`)
	for _, f := range []*following{tail, people, watched} {
		f.interrupt()
		if n := strings.Count(f.Log.String(), "trying again"); n != 1 {
			t.Errorf("it was said %d times that the bridge is away; want once:\n%s", n, &f.Log)
		}
	}
	var told []string
	for _, e := range decode[api.Event](t, tail.out.String()) {
		if slices.Contains(told, e.ID) {
			t.Errorf("event %s was told twice", e.ID)
		}
		told = append(told, e.ID)
	}
	var changes []string
	for line := range strings.Lines(watched.out.String()) {
		if slices.Contains(changes, line) {
			t.Errorf("told again, without a change: %s", line)
		}
		changes = append(changes, line)
	}
	t.Log("a cursor of another store is refused, and what to do is said")
	o.fails(exitRefused, words("events tail --after ZTRmY3picC00LXRwOHp1bw"), "--after ", "or --all")
}

// following is a command that goes on.
type following struct {
	*process
	out *testkit.LogBuffer
}

func (o *operator) follow(args ...string) *following {
	o.t.Helper()
	c, out := command(o.t, o.env, append(args, "--data-dir", o.dir)...), &testkit.LogBuffer{}
	c.Stdout = out
	return &following{beginCommand(o.t, c), out}
}

// await waits until so many lines have a text.
func (f *following) await(n int, text string) {
	f.t.Helper()
	testkit.Eventually(f.t, "it prints "+text, func() bool { return strings.Count(f.out.String(), text) >= n })
}

// interrupt is Ctrl-C.
func (f *following) interrupt() {
	f.t.Helper()
	f.Signal(syscall.SIGINT)
	if code := f.ExitCode(); code != 0 {
		f.t.Errorf("Ctrl-C: exit code %d; want 0: %s", code, &f.Log)
	}
}

func TestBridgesThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	// What is no management API is never shown the key, nor does it reach the upstream.
	keyless := func(h http.HandlerFunc) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "" {
				t.Errorf("the key was sent to %s", r.URL)
			}
			h(w, r)
		})
	}
	p := launch(t, testkit.Serve(t, keyless(http.NotFound)).URL)
	healthy := launch(t, testkit.Serve(t, keyless(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"status":"ok"}`)) })).URL)
	page := testkit.Serve(t, keyless(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) }))
	unwell := testkit.Serve(t, management(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(503)
		w.Write([]byte(`{"title":"Service Unavailable","status":503,"detail":"not possible at the moment: try again"}`))
	}))
	elsewhere := testkit.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the key went to where a redirect points: %v", r.Header)
	}))
	redirect := testkit.Serve(t, http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	const key = "POLLBRIDGE_ADMIN_KEY=sesame-0123456789"
	long := filepath.Join(t.TempDir(), "long")
	testkit.NoError(t, os.WriteFile(long, bytes.Repeat([]byte("sesame "), 20_000), 0o600))
	for name, test := range map[string]struct {
		env  []string
		args string
		code int
		want []string
	}{
		"a wrong key in the environment": {[]string{key}, "stats --server " + p.private, 3, []string{"the key (from POLLBRIDGE_ADMIN_KEY) is refused by " + p.private, "admin.keys", "--key-file"}},
		"a wrong key as an argument":     {nil, "stats --key sesame-0123456789 --server " + p.private, 3, []string{"--key shows in the list of processes", "the key (from --key) is refused"}},
		"a key that is none":             {nil, "stats --key sesame-ž", 2, []string{"--key: want one line of visible ASCII characters"}},
		"two keys":                       {nil, "stats --key sesame --key-file sesame", 2, []string{"--key-file and --key can't be used together"}},
		"a key where a path belongs":     {nil, "stats --key-file sesame-0123456789", 2, []string{"--key-file: want the path of a file", "no such file"}},
		"a file that is no key":          {nil, "stats --key-file " + long, 2, []string{"--key-file", "too long"}},
		"no key":                         {nil, "stats --data-dir /nowhere", 2, []string{"/nowhere/admin.key cannot be read: no such file or directory", "admin.keys", "POLLBRIDGE_ADMIN_KEY"}},
		"nobody there":                   {[]string{key}, "stats --server http://127.0.0.1:1", 1, []string{"cannot be reached at http://127.0.0.1:1", "connection refused", "is it running? --server"}},
		"the public listener":            {[]string{key}, "stats --server " + p.public, 1, []string{"no management API", "404", "the key was not sent", "--server wants the address of its admin.listen"}},
		"one whose upstream is healthy":  {[]string{key}, "stats --server " + healthy.public, 1, []string{"no management API", "200", "the key was not sent"}},
		"somebody's page":                {[]string{key}, "stats --server " + page.URL, 1, []string{"no management API"}},
		"a redirect":                     {[]string{key}, "stats --server " + redirect.URL, 1, []string{"no management API", "307"}},
		"a bridge that is not well":      {[]string{key}, "stats --server " + unwell.URL, 1, []string{"the bridge could not do it: 503 Service Unavailable: not possible at the moment"}},
		"an address without a scheme":    {[]string{key}, "stats --server u:sesame@127.0.0.1:8090", 2, []string{"--server: want a URL such as http://127.0.0.1:8090"}},
		"a port of the system's":         {[]string{key, "POLLBRIDGE_ADMIN_LISTEN=127.0.0.1:0"}, "stats", 2, []string{"--server: is needed", "port"}},
		"wrong settings":                 {[]string{key, "POLLBRIDGE_ADMIN_LISTEN=here"}, "stats", 2, []string{"admin.listen", "here"}},
		"an unknown setting":             {[]string{key, "POLLBRIDGE_ADMIN_LISTN=127.0.0.1:1"}, "stats", 2, []string{"POLLBRIDGE_ADMIN_LISTN", "did you mean POLLBRIDGE_ADMIN_LISTEN"}},
		"no authorities":                 {[]string{key}, "stats --ca-file " + long, 2, []string{"--ca-file", "PEM"}},
		"an interval":                    {[]string{key}, "stats --watch --interval 1ms", 2, []string{"--interval", "at least 100ms"}},
		"a time":                         {[]string{key}, "subscriptions recover sub_a --since soon", 2, []string{"--since: want how long ago it is, such as 24h or 7d"}},
		"no id":                          {[]string{key}, "subscriptions show", 2, []string{`expected "<id>"`}},
		"a group alone":                  {nil, "subscriptions", 2, []string{"one of its commands is needed", "  rotate-secret ", "  list "}},
		"an unknown command of a group":  {nil, "sessions wacth", 2, []string{"unknown command wacth; did you mean watch?", "  forget "}},
		"a secret as one":                {nil, "sessions Sesame/sesame", 2, []string{"that is not a command (it is not shown)", "  forget "}},
	} {
		code, out, errOut := runProgram(t, test.env, words(test.args)...)
		if code != test.code || out != "" {
			t.Errorf("%s: exit code %d, printed %q; want %d: %s", name, code, out, test.code, errOut)
		}
		for _, part := range test.want {
			if !strings.Contains(errOut, part) {
				t.Errorf("%s: said %q; want %q in it", name, errOut, part)
			}
		}
		if strings.Contains(errOut, "sesame") && name != "a time" {
			t.Errorf("%s: said a secret: %q", name, errOut)
		}
	}
}

func TestServersByHTTPS(t *testing.T) {
	t.Parallel()
	c := testkit.NewCertificate(t)
	server := httptest.NewUnstartedServer(management(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"version":"1.2.3"}`)) }))
	server.TLS, server.Config.ErrorLog = &tls.Config{Certificates: []tls.Certificate{c.Certificate}}, log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	address := server.URL
	env := []string{"POLLBRIDGE_ADMIN_KEY=sesame-0123456789"}
	if code, _, errOut := runProgram(t, env, "stats", "--server", address); code != 1 || !strings.Contains(errOut, "is not trusted") || !strings.Contains(errOut, "--ca-file") {
		t.Errorf("an unknown authority = %d %q", code, errOut)
	}
	if code, out, errOut := runProgram(t, env, "stats", "--server", address, "--ca-file", c.CertFile); code != 0 || !strings.Contains(out, "1.2.3") {
		t.Errorf("a known one = %d %q", code, errOut)
	}
}

// TestNothingHostileIsShown: a bridge tells what receivers, the upstream and others wrote.
func TestNothingHostileIsShown(t *testing.T) {
	t.Parallel()
	const hostile = `\u001b[2J\u001b]0;x\u0007\r\n\u0000\u009b31m\u202e\udb40\udc01`
	raw := strings.ReplaceAll(hostile, `\u009b`, "\u009b")
	raw = strings.ReplaceAll(raw, `\u202e`, "\u202e")
	object := `{"id":"sub_` + raw + `","url":"http://h/` + raw + `","events":["` + raw + `"],"endpoints":["` + raw + `"],"description":"` + raw + `","headers":{"` + raw + `":""},` +
		`"signature":"` + raw + `","enabled":true,"secret":"whsec_` + raw + `","state":"` + raw + `","endpoint":"` + raw + `","token":"` + raw + `","locale":"` + raw + `","account":"` + raw + `",` +
		`"type":"` + raw + `","session":"` + raw + `","reason":"` + raw + `","error":"` + raw + `","detail":"` + raw + `","answer":"` + raw + `","version":"` + raw + `","breaker":"` + raw + `",` +
		`"attempts":[{"error":"` + raw + `","detail":"` + raw + `","answer":"` + raw + `"}],"cursor":"` + raw + `","subject":"` + raw + `","queues":{"` + raw + `":1},` +
		`"payload":{"data":{"endpoint":"` + raw + `","state":"` + raw + `","message":"` + raw + `"}}}`
	server := testkit.Serve(t, management(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer "+managementKey:
			w.WriteHeader(422)
			w.Write([]byte(`{"title":"` + raw + `","status":422,"detail":"` + raw + `","errors":[{"location":"` + raw + `","message":"` + raw + `"}]}`))
		case strings.HasSuffix(r.URL.Path, "/stream"):
			w.Write([]byte("data: " + object + "\n\n"))
		case r.URL.Path == "/v1/stats" || strings.Count(r.URL.Path, "/") > 2:
			w.Write([]byte(object))
		default:
			w.Write([]byte(`{"items":[` + object + `]}`))
		}
	}))
	everything := ""
	for _, key := range []string{managementKey, "another-key-of-16"} {
		for _, args := range []string{
			"subscriptions list", "subscriptions show a", "subscriptions test a", "sessions list", "sessions show a",
			"deliveries list", "deliveries show a", "deliveries redeliver a", "stats", "complete -- --server " + server.URL + " subscriptions show ",
		} {
			for _, more := range []string{"", " --json"} {
				if strings.HasPrefix(args, "complete") {
					more = ""
				}
				full := words(args + more)
				if !strings.HasPrefix(args, "complete") {
					full = append(full, "--server", server.URL)
				}
				code, out, errOut := runProgram(t, []string{"POLLBRIDGE_ADMIN_KEY=" + key}, full...)
				if more != "" && key == managementKey {
					decode[map[string]any](t, out)
				}
				if out+errOut == "" && !strings.HasPrefix(args, "complete") {
					t.Errorf("%s with %s = %d, and nothing is said", args, key, code)
				}
				everything += out + errOut
			}
		}
	}
	o := &operator{t: t, env: []string{"POLLBRIDGE_ADMIN_KEY=" + managementKey}, dir: t.TempDir()}
	for _, form := range []string{"--json", "--json=false"} {
		tail := o.follow("events", "tail", "--server", server.URL, form)
		tail.await(1, "[2J")
		tail.interrupt()
		everything += tail.out.String() + tail.Log.String()
	}
	if !strings.Contains(everything, "[2J") {
		t.Error("nothing of it was shown at all")
	}
	for _, r := range everything {
		if r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf) {
			t.Fatalf("%U was printed", r)
		}
	}
}

// TestRecoveryGoesOn: a recovery takes as many calls as it needs, says how far it is, and
// where to go on if it is cut off.
func TestRecoveryGoesOn(t *testing.T) {
	t.Parallel()
	calls := make(chan api.Recover, 10)
	var broken atomic.Bool
	server := testkit.Serve(t, management(func(w http.ResponseWriter, r *http.Request) {
		var got api.Recover
		json.NewDecoder(r.Body).Decode(&got)
		calls <- got
		switch {
		case got.ContinueFrom == "second" && broken.Load():
			w.WriteHeader(503)
		case got.ContinueFrom == "second":
			w.Write([]byte(`{"redelivered":3}`))
		default:
			w.Write([]byte(`{"redelivered":4,"continue_from":"second"}`))
		}
	}))
	recovering := func(args ...string) (int, string, string) {
		return runProgram(t, []string{"POLLBRIDGE_ADMIN_KEY=" + managementKey}, append([]string{"subscriptions", "recover", "sub_a", "--server", server.URL}, args...)...)
	}
	code, out, errOut := recovering("--since", "1d")
	if code != 0 || !strings.Contains(out, "7 deliveries begun again") || errOut != "4 deliveries so far\n" {
		t.Errorf("recover = %d %q %q", code, out, errOut)
	}
	first, second := <-calls, <-calls
	if since := time.Since(first.Since); !first.Since.Equal(second.Since) || since < 24*time.Hour || since > 25*time.Hour {
		t.Errorf("asked since %v, then since %v; want a day ago", first.Since, second.Since)
	}
	broken.Store(true)
	if code, _, errOut := recovering("--since", "2026-11-23T08:15:30Z"); code != 1 || !strings.Contains(errOut, "go on with --since 2026-11-23T08:15:30Z --continue-from second") {
		t.Errorf("recover that is cut off = %d %q", code, errOut)
	}
	broken.Store(false)
	if code, out, _ := recovering("--since", "2026-11-23T08:15:30Z", "--continue-from", "second", "--json"); code != 0 || out != `{"redelivered":3}`+"\n" {
		t.Errorf("recover that goes on = %d %q", code, out)
	}
}
