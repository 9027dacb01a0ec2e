package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/webhook"
	"pollbridge/webhook/signature"
)

// withExamples is the environment variable that lets the examples of the
// documentation run. They need the tools of four languages, and packages; see
// .ci/standardwebhooks.
const withExamples = "POLLBRIDGE_TEST_EXAMPLES"

// example is a receiver of the documentation, and how it is built and run in a copy of
// its folder.
type example struct {
	folder string
	build  []string // nil where there is nothing to be built
	run    []string
}

var examples = []example{
	{"go", []string{"go", "build", "-o", "receiver", "."}, []string{"./receiver"}},
	{"node", []string{"npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"}, []string{"node", "receiver.js"}},
	{"php", nil, []string{"php", "-S", "127.0.0.1:0", "receiver.php"}},
	{"python", nil, []string{"python3", "receiver.py"}},
}

// copied returns a copy of the example's folder, built.
func (e example) copied(t *testing.T) string {
	t.Helper()
	if os.Getenv(withExamples) == "" {
		t.Skip("runs where " + withExamples + " is set")
	}
	for _, line := range [][]string{e.build, e.run} {
		if len(line) > 0 && !strings.HasPrefix(line[0], ".") {
			if _, err := exec.LookPath(line[0]); err != nil {
				t.Skip(line[0] + " is not installed")
			}
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "docs", "examples", e.folder))); err != nil {
		t.Fatal(err)
	}
	if e.build != nil {
		build := exec.Command(e.build[0], e.build[1:]...)
		build.Dir = dir
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", e.build, err, out)
		}
	}
	return dir
}

// receiver is a running example.
type receiver struct {
	t          *testing.T
	url, inbox string
	secret     string
}

var listeningAt = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

func (e example) start(t *testing.T) *receiver {
	t.Helper()
	dir := e.copied(t)
	r := &receiver{t: t, inbox: filepath.Join(t.TempDir(), "in", "box"), secret: signature.NewSecret()}
	if err := os.MkdirAll(r.inbox, 0o700); err != nil {
		t.Fatal(err)
	}
	var out testkit.LogBuffer
	command := exec.Command(e.run[0], e.run[1:]...)
	command.Dir, command.Stdout, command.Stderr = dir, &out, &out
	command.Env = append(os.Environ(), "WEBHOOK_SECRET="+r.secret, "INBOX="+r.inbox, "PORT=0")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", e.folder, out.String())
		}
	})
	testkit.Eventually(t, "it listens", func() bool {
		r.url = listeningAt.FindString(out.String())
		return r.url != ""
	})
	r.url += "/webhooks"
	return r
}

// posted is a webhook for an example; what is empty is as it should be.
type posted struct {
	id, body string
	at       time.Time
	keys     []string
	change   func(http.Header)
	sent     string // instead of the body that was signed
}

func (r *receiver) want(what string, p posted, status int) {
	r.t.Helper()
	if p.at.IsZero() {
		p.at = time.Now()
	}
	if p.keys == nil {
		p.keys = []string{r.secret}
	}
	signed, err := signature.Sign(p.id, p.at, []byte(p.body), p.keys...)
	if err != nil {
		r.t.Fatal(err)
	}
	if p.sent == "" {
		p.sent = p.body
	}
	request, err := http.NewRequestWithContext(r.t.Context(), "POST", r.url, strings.NewReader(p.sent))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("content-type", "application/json")
	request.Header.Set(signature.HeaderID, p.id)
	request.Header.Set(signature.HeaderTimestamp, strconv.FormatInt(p.at.Unix(), 10))
	request.Header.Set(signature.HeaderSignature, signed)
	if p.change != nil {
		p.change(request.Header)
	}
	var got int
	testkit.Eventually(r.t, "an answer", func() bool { // it says that it listens a little early
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			request.Body, _ = request.GetBody()
			return false
		}
		response.Body.Close()
		got = response.StatusCode
		return true
	})
	if got != status {
		r.t.Errorf("%s is answered %d; want %d", what, got, status)
	}
}

func (r *receiver) wantStored(want ...string) {
	r.t.Helper()
	var names []string
	err := filepath.WalkDir(filepath.Dir(filepath.Dir(r.inbox)), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, d.Name())
		}
		return err
	})
	if err != nil || strings.Join(names, " ") != strings.Join(want, " ") {
		r.t.Errorf("stored: %q, %v; want %q", names, err, want)
	}
}

// TestExamples: the receivers of the documentation take what pollbridge signs, and
// nothing else.
func TestExamples(t *testing.T) {
	t.Parallel()
	private, _ := signature.NewKeyPair()
	for _, e := range examples {
		t.Run(e.folder, func(t *testing.T) {
			t.Parallel()
			r := e.start(t)
			const body = `{"type":"session.succeeded","data":{"session":"ses_one","message":"Pasirašyta ąčę 🖋","sequence":2}}`
			without := func(name string) func(http.Header) { return func(h http.Header) { h.Del(name) } }
			set := func(name, value string) func(http.Header) { return func(h http.Header) { h.Set(name, value) } }

			r.want("a body that was changed", posted{id: "evt_1", body: body, sent: strings.Replace(body, "one", "two", 1)}, 401)
			r.want("a body written anew", posted{id: "evt_1", body: body, sent: strings.Replace(body, ":", ": ", 1)}, 401)
			r.want("no body", posted{id: "evt_1", body: body, sent: " "}, 401)
			r.want("another secret", posted{id: "evt_1", body: body, keys: []string{signature.NewSecret()}}, 401)
			r.want("an old one", posted{id: "evt_1", body: body, at: time.Now().Add(-6 * time.Minute)}, 401)
			r.want("one from the future", posted{id: "evt_1", body: body, at: time.Now().Add(6 * time.Minute)}, 401)
			r.want("another id", posted{id: "evt_1", body: body, change: set(signature.HeaderID, "evt_2")}, 401)
			r.want("another time", posted{id: "evt_1", body: body, change: set(signature.HeaderTimestamp, strconv.FormatInt(time.Now().Unix()-10, 10))}, 401)
			r.want("no time", posted{id: "evt_1", body: body, change: set(signature.HeaderTimestamp, "soon")}, 401)
			r.want("no signature", posted{id: "evt_1", body: body, change: set(signature.HeaderSignature, "v1,")}, 401)
			r.want("v1a alone", posted{id: "evt_1", body: body, keys: []string{private}}, 401)
			for _, name := range []string{signature.HeaderID, signature.HeaderTimestamp, signature.HeaderSignature} {
				r.want("without "+name, posted{id: "evt_1", body: body, change: without(name)}, 401)
			}
			r.wantStored()

			r.want("a good one", posted{id: "evt_1", body: body}, 204)
			r.want("the same again", posted{id: "evt_1", body: body, at: time.Now().Add(-time.Minute)}, 204)
			r.want("one in a rotation", posted{id: "evt_2", body: body, keys: []string{signature.NewSecret(), r.secret}}, 204)
			r.want("v1a besides", posted{id: "evt_3", body: body, keys: []string{private, r.secret}}, 204)
			large := `{"response":"` + strings.Repeat("ą", 1<<20) + `"}`
			r.want("a large one", posted{id: "evt_4", body: large}, 204)
			r.want("an id that is a path", posted{id: "../evt_5", body: body}, 503)
			r.wantStored("evt_1.json", "evt_2.json", "evt_3.json", "evt_4.json")
			for name, want := range map[string]string{"evt_1.json": body, "evt_4.json": large} {
				if got, err := os.ReadFile(filepath.Join(r.inbox, name)); err != nil || string(got) != want {
					t.Errorf("%s has %.100q, %v; want %.100q", name, got, err, want)
				}
			}

			if err := os.RemoveAll(r.inbox); err != nil {
				t.Fatal(err)
			}
			r.want("one that cannot be stored", posted{id: "evt_6", body: body}, 503)
		})
	}
}

// TestExamplesWantASecret: what an empty key has signed is a forgery, and a receiver that
// cannot tell does not start; PHP, which has no start, takes nothing.
func TestExamplesWantASecret(t *testing.T) {
	t.Parallel()
	for _, e := range examples {
		t.Run(e.folder, func(t *testing.T) {
			t.Parallel()
			dir := e.copied(t)
			for _, secret := range []string{"", "whsec_", "whsec_c2hvcnQ=", "hunter2hunter2hunter2hunter2hunter2!"} {
				var out testkit.LogBuffer
				inbox := t.TempDir()
				command := exec.Command(e.run[0], e.run[1:]...)
				command.Dir, command.Stdout, command.Stderr = dir, &out, &out
				command.Env = append(os.Environ(), "WEBHOOK_SECRET="+secret, "INBOX="+inbox, "PORT=0")
				if err := command.Start(); err != nil {
					t.Fatal(err)
				}
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					command.Wait()
				}()
				t.Cleanup(func() {
					command.Process.Kill()
					<-ended
				})
				r := &receiver{t: t, inbox: inbox}
				over := func() bool {
					select {
					case <-ended:
						return true
					default:
						r.url = listeningAt.FindString(out.String())
						return r.url != ""
					}
				}
				testkit.Eventually(t, "it listens or ends", over)
				if r.url != "" {
					now := time.Now()
					mac := hmac.New(sha256.New, nil)
					fmt.Fprintf(mac, "evt_1.%d.{}", now.Unix())
					forged := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
					r.want("a forgery, with the secret "+secret, posted{
						id: "evt_1", body: "{}", at: now, keys: []string{signature.NewSecret()},
						change: func(h http.Header) { h.Set(signature.HeaderSignature, forged) },
					}, 503)
					if e.folder != "php" {
						t.Errorf("it starts with the secret %q", secret)
					}
				} else if command.ProcessState.ExitCode() == 0 || !strings.Contains(out.String(), "WEBHOOK_SECRET must be") {
					t.Errorf("with the secret %q it ends with %d and %q", secret, command.ProcessState.ExitCode(), out.String())
				}
				if stored, err := os.ReadDir(inbox); err != nil || len(stored) > 0 {
					t.Errorf("with the secret %q it stored %v, %v", secret, stored, err)
				}
			}
		})
	}
}

// TestOfficialPackageSigns: what the Standard Webhooks project's package signs, we take.
func TestOfficialPackageSigns(t *testing.T) {
	t.Parallel()
	dir := examples[1].copied(t)
	const body = `{"type":"session.succeeded","data":{"message":"Pasirašyta ąčę 🖋"}}`
	secret := signature.NewSecret()
	now := time.Now()
	script := `import { Webhook } from "standardwebhooks";
		const [secret, id, seconds, body] = process.argv.slice(2);
		console.log(new Webhook(secret).sign(id, new Date(1000 * seconds), body));`
	if err := os.WriteFile(filepath.Join(dir, "sign.js"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("node", "sign.js", secret, "evt_1", strconv.FormatInt(now.Unix(), 10), body)
	command.Dir = dir
	signed, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{}
	header.Set(signature.HeaderID, "evt_1")
	header.Set(signature.HeaderTimestamp, strconv.FormatInt(now.Unix(), 10))
	header.Set(signature.HeaderSignature, string(bytes.TrimSpace(signed)))
	if err := signature.Verify(header, []byte(body), now, secret); err != nil {
		t.Errorf("Verify = %v", err)
	}
	if err := signature.Verify(header, []byte(body+" "), now, secret); err == nil {
		t.Error("Verify takes another body")
	}
	if ours, err := signature.Sign("evt_1", now, []byte(body), secret); err != nil || ours != string(bytes.TrimSpace(signed)) {
		t.Errorf("Sign = %q, %v; want %q", ours, err, signed)
	}
}

// TestTheTestEventShowsTheMistake: encoded anew, compact and by the library's defaults, it
// has other bytes in each language.
func TestTheTestEventShowsTheMistake(t *testing.T) {
	t.Parallel()
	if os.Getenv(withExamples) == "" {
		t.Skip("runs where " + withExamples + " is set")
	}
	receiver := testkit.NewReceiver(t, nil)
	hooks := deliverer(t)
	sub, err := hooks.Create(t.Context(), webhook.NewSubscription{URL: receiver.URL})
	if err != nil {
		t.Fatal(err)
	}
	if attempt, err := hooks.Test(t.Context(), sub.ID); err != nil || !attempt.Succeeded() {
		t.Fatalf("Test = %+v, %v", attempt, err)
	}
	body := receiver.Wait(t, 1)[0].Body
	for _, anew := range [][]string{
		{"node", "-e", `process.stdout.write(JSON.stringify(JSON.parse(require("fs").readFileSync(0))))`},
		{"php", "-r", `echo json_encode(json_decode(stream_get_contents(STDIN)));`},
		{"php", "-r", `echo json_encode(json_decode(stream_get_contents(STDIN)), JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_PRESERVE_ZERO_FRACTION);`},
		{"python3", "-c", `import json, sys; print(json.dumps(json.load(sys.stdin), separators=(",", ":")), end="")`},
		{"python3", "-c", `import json, sys; print(json.dumps(json.load(sys.stdin), separators=(",", ":"), ensure_ascii=False), end="")`},
	} {
		if _, err := exec.LookPath(anew[0]); err != nil {
			continue
		}
		command := exec.Command(anew[0], anew[1:]...)
		command.Stdin = bytes.NewReader(body)
		got, err := command.Output()
		if err != nil || !json.Valid(got) || bytes.Equal(got, body) {
			t.Errorf("%s: %v; encoded anew\n%s\nwant other bytes than\n%s", anew, err, got, body)
		}
	}
}

// TestDocumentationShowsTheExamples as they are run.
func TestDocumentationShowsTheExamples(t *testing.T) {
	docs := filepath.Join("..", "..", "docs")
	page, err := os.ReadFile(filepath.Join(docs, "verify-webhooks.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go/receiver.go", "node/receiver.js", "php/receiver.php", "python/receiver.py"} {
		text, err := os.ReadFile(filepath.Join(docs, "examples", name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "\n"+string(text)+"```\n") {
			t.Errorf("docs/verify-webhooks.md shows another text than docs/examples/%s has", name)
		}
	}
}
