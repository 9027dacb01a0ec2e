package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pollbridge/admin/api"
	"pollbridge/internal/testkit"
	"pollbridge/simulator"
)

// story is a bridge with something of all that is stored.
type story struct {
	*durable
	sim      *simulator.Simulator
	well     *webhookReceiver
	pending  string // the token of a signing under way
	path     string // of the status of one that is over
	document string // what is answered about it
	cursor   string // of an event in the midst
}

const never = time.Hour

// tellStory has sessions under way and over, deliveries that arrived, are dead and wait for their
// next attempt, and an event that was erased. document is the size
// of the signed one in bytes, and env are further settings.
func tellStory(t *testing.T, document simulator.Size, env ...string) *story {
	t.Helper()
	sim, upstream := testkit.Simulate(t, func(cfg *simulator.Config) {
		cfg.OneShot, cfg.FileSize, cfg.SignAfter = true, document, simulator.Uniform(never, never)
	})
	s := &story{sim: sim, well: newWebhookReceiver(t, nil)}
	other := testkit.NewReceiver(t, func(w http.ResponseWriter, got testkit.Webhook, _ int) {
		if got.Path == "/later" {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
	})
	s.durable = prepareDurable(t, upstream, fmt.Sprintf(`
webhook: {allow_http: true, allow_networks: [127.0.0.0/8], allow_ports: [%d, %d], retries: [10ms]}
watch: {interval: 200ms}
cache: {pending_ttl: 200ms}
`, s.well.Port(), other.Port()))
	s.env = append(s.env, env...)
	s.start()
	manage := s.api()
	s.subscribe(s.well)
	for _, path := range []string{"/later", "/never"} {
		_, err := manage.CreateSubscription(t.Context(), api.NewSubscription{URL: other.URL + path, Events: []string{"session.succeeded"}})
		testkit.NoError(t, err)
	}
	var tokens []string
	for range 4 {
		tokens = append(tokens, startSigning(t, s.process, "sesame-account-1"))
	}
	testkit.Eventually(t, "all began", func() bool { return len(s.all("/v1/events")) == 4 })
	second := s.all("/v1/events")[1] // an event in the midst of the log goes
	testkit.NoError(t, manage.DeleteSession(t.Context(), second["subject"].(string)))
	tokens = slices.DeleteFunc(tokens, func(token string) bool { return token == data(second)["token"] })
	testkit.NoError(t, sim.Finish(tokens[1], simulator.Succeeded))
	s.pending, s.path = tokens[0], "/smartid/sign/status/"+tokens[1]+".json"
	testkit.Eventually(t, "one is over, and told of in every way", func() bool {
		counts := map[string]int{}
		for _, d := range s.all("/v1/deliveries") {
			counts[fmt.Sprint(d["state"])]++
		}
		waiting := 0.0 // what has come to its end still waits until the queue is rid of it
		for _, sub := range s.all("/v1/subscriptions") {
			waiting += sub["outcomes"].(map[string]any)["waiting"].(float64)
		}
		return counts["delivered"] == 4 && counts["dead"] == 1 && counts["waiting"] == 1 && waiting == 1
	})
	_, s.document = ask("POST", s.public+s.path, `{"access_token":"sesame-account-1"}`)
	if !strings.Contains(s.document, `"ok"`) {
		t.Fatalf("the document is answered %.200s", s.document)
	}
	page := s.page("/v1/events?limit=2")
	s.cursor = page["next"].(string)
	return s
}

// get asks the management API.
func (d *durable) get(path string) []byte {
	d.t.Helper()
	a := testkit.Do(d.t, "GET", d.private+path, "", "Authorization: Bearer "+managementKey)
	if a.Err != nil || a.Status != 200 {
		d.t.Fatalf("GET %s = %d %s %v", path, a.Status, a.Body, a.Err)
	}
	return []byte(a.Body)
}

func (d *durable) page(path string) (page map[string]any) {
	d.t.Helper()
	testkit.NoError(d.t, json.Unmarshal(d.get(path), &page))
	return page
}

func (d *durable) all(path string) (items []map[string]any) {
	for _, item := range d.page(path)["items"].([]any) {
		items = append(items, item.(map[string]any))
	}
	return items
}

// data is what an event says.
func data(event map[string]any) map[string]any {
	return event["payload"].(map[string]any)["data"].(map[string]any)
}

// shown is all that the management API tells.
func (s *story) shown() string {
	s.t.Helper()
	return s.tells("/v1/subscriptions", "/v1/sessions", "/v1/deliveries?limit=100", "/v1/deliveries?state=dead", "/v1/events?limit=100", "/v1/events?after="+s.cursor)
}

// tells is what the management API tells at some paths, but for where the next page begins.
func (d *durable) tells(paths ...string) string {
	d.t.Helper()
	var all bytes.Buffer
	for _, path := range paths {
		page := d.page(path)
		delete(page, "next")
		text, err := json.MarshalIndent(page, "", " ")
		testkit.NoError(d.t, err)
		fmt.Fprintf(&all, "%s: %s\n", path, text)
	}
	return all.String()
}

// goesOn checks that all is there in the store that the process has now, and that it goes on.
func (s *story) goesOn(before string) {
	s.t.Helper()
	if now := s.shown(); now != before {
		s.t.Errorf("the management API tells something else:\n%s", differences(before, now))
	}
	if status, text := ask("POST", s.public+s.path, `{"access_token":"sesame-account-1"}`); status != 200 || text != s.document {
		s.t.Errorf("the document is answered %d %.100s; want all of it, as before", status, text)
	}
	if status, text := ask("POST", s.public+s.path, `{"access_token":"sesame-account-2"}`); strings.Contains(text, `"ok"`) {
		s.t.Errorf("somebody else's credential gets %d %.100s", status, text)
	}
	told := s.well.Count()
	testkit.NoError(s.t, s.sim.Finish(s.pending, simulator.Succeeded))
	testkit.Eventually(s.t, "the end of the other one is told", func() bool { return s.well.finals()[s.pending] != nil })
	if more := s.well.Got()[told:]; len(more) != 1 {
		s.t.Errorf("%d webhooks came after it was moved, want 1: what was delivered is not delivered again", len(more))
	}
	events := s.all("/v1/events?after=" + s.cursor)
	if last := events[len(events)-1]; last["type"] != "session.succeeded" || data(last)["sequence"] != 2.0 {
		s.t.Errorf("the last event is %v", last)
	}
}

func differences(before, now string) string {
	was, is := strings.Split(before, "\n"), strings.Split(now, "\n")
	var b strings.Builder
	for i := range max(len(was), len(is)) {
		var x, y string
		if i < len(was) {
			x = was[i]
		}
		if i < len(is) {
			y = is[i]
		}
		if x != y && b.Len() < 3000 {
			fmt.Fprintf(&b, "-%s\n+%s\n", x, y)
		}
	}
	return b.String()
}

// move exports what a directory holds and imports it into another, with its key.
func move(t *testing.T, from, to string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "export")
	mustRun(t, "export", file, "--data-dir", from)
	copyKey(t, from, to)
	mustRun(t, "import", file, "--data-dir", to)
	return file
}

func copyKey(t *testing.T, from, to string) {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(from, "store.key"))
	testkit.NoError(t, err)
	testkit.NoError(t, os.MkdirAll(to, 0o700))
	testkit.NoError(t, os.WriteFile(filepath.Join(to, "store.key"), key, 0o600))
}

func mustRun(t *testing.T, args ...string) (errOut string) {
	t.Helper()
	code, _, errOut := runProgram(t, nil, args...)
	if code != 0 {
		t.Fatalf("pollbridge %s ends with %d: %s", strings.Join(args, " "), code, errOut)
	}
	return errOut
}

// restart starts the program with another directory.
func (d *durable) restart(dir string) {
	d.t.Helper()
	d.dir, d.args[len(d.args)-1] = dir, dir
	d.start()
}

// TestMovedToAnotherDirectory: all is there after an export and an import, and after another one of
// what was imported.
func TestMovedToAnotherDirectory(t *testing.T) {
	t.Parallel()
	s := tellStory(t, 300<<10)
	before := s.shown()
	s.terminate()
	second, third := filepath.Join(t.TempDir(), "second"), filepath.Join(t.TempDir(), "third")
	file := move(t, s.dir, second)
	content, err := os.ReadFile(file)
	testkit.NoError(t, err)
	key, err := os.ReadFile(filepath.Join(s.dir, "store.key"))
	testkit.NoError(t, err)
	for _, secret := range []string{"sesame-account-1", s.pending, strings.TrimSpace(string(key)), strings.TrimPrefix(s.well.secret, "whsec_"), `"status"`} {
		if bytes.Contains(content, []byte(secret)) {
			t.Errorf("the file holds %q", secret)
		}
	}
	move(t, second, third)
	s.restart(third)
	s.goesOn(before)
}

// TestImportKilled: an import that is killed at any moment goes on when it is started again, and
// until then nothing starts there.
func TestImportKilled(t *testing.T) {
	t.Parallel()
	s := tellStory(t, 300<<10)
	before := s.shown()
	s.terminate()
	file, to := filepath.Join(t.TempDir(), "export"), filepath.Join(t.TempDir(), "to")
	mustRun(t, "export", file, "--data-dir", s.dir)
	copyKey(t, s.dir, to)
	content, err := os.ReadFile(file)
	testkit.NoError(t, err)
	for n := range 8 {
		importing := command(t, nil, "import", "-", "--data-dir", to)
		in, err := importing.StdinPipe()
		testkit.NoError(t, err)
		progress := &testkit.LogBuffer{}
		importing.Stderr = progress
		testkit.NoError(t, importing.Start())
		in.Write(content[:len(content)*(n+1)/9])
		testkit.Eventually(t, "something is imported", func() bool { return strings.Contains(progress.String(), "deliveries ") })
		importing.Process.Kill()
		importing.Wait()
	}
	code, _, errOut := runProgram(t, s.env, append(slices.Clone(s.args[:len(s.args)-1]), to)...)
	if code != 1 || !strings.Contains(errOut, "an import was begun here and is not over") {
		t.Errorf("serve ends with %d: %s; want that it says that the import is not over", code, errOut)
	}
	if code, _, errOut := runProgram(t, nil, "export", filepath.Join(t.TempDir(), "half"), "--data-dir", to); code != 1 || !strings.Contains(errOut, "not over") {
		t.Errorf("an export of that ends with %d: %s", code, errOut)
	}
	mustRun(t, "import", file, "--data-dir", to)
	if again := mustRun(t, "import", file, "--data-dir", to); !strings.Contains(again, "nothing to do") {
		t.Errorf("an import of what was imported says %s", again)
	}
	s.restart(to)
	s.goesOn(before)
	s.terminate()
	if again := mustRun(t, "import", file, "--data-dir", to); !strings.Contains(again, "nothing to do") {
		t.Errorf("an import of what was imported and has gone on says %s", again)
	}
}

// TestImportRefused: what cannot be imported is refused with a sentence that says what to do, and
// nothing is changed.
func TestImportRefused(t *testing.T) {
	t.Parallel()
	s := tellStory(t, 300<<10)
	from := s.dir
	if code, _, errOut := runProgram(t, nil, "export", filepath.Join(t.TempDir(), "export"), "--data-dir", from); code != 1 || !strings.Contains(errOut, "in use by another process") {
		t.Errorf("an export of a directory in use ends with %d: %s", code, errOut)
	}
	s.terminate()
	folder := t.TempDir()
	file := filepath.Join(folder, "export")
	mustRun(t, "export", file, "--data-dir", from)
	whole, err := os.ReadFile(file)
	testkit.NoError(t, err)
	changed := func(at int) []byte {
		damaged := slices.Clone(whole)
		damaged[at] ^= 4
		return damaged
	}
	newer := []byte("pollbridge export 2\nwhatever")
	for _, refused := range []struct {
		what    string
		content []byte
		key     bool
		want    string
	}{
		{"nothing", nil, true, "no export of pollbridge"},
		{"something else", []byte("PK\x03\x04 whatever there is in it"), true, "no export of pollbridge"},
		{"a newer one", newer, true, "format 2, and this version of pollbridge reads up to 1"},
		{"the first line", whole[:20], true, "ends early"},
		{"a third", whole[:len(whole)/3], true, "ends early"},
		{"all but a byte", whole[:len(whole)-1], true, "ends early"},
		{"all but the last frame", whole[:bytes.LastIndex(whole, []byte(`z`))], true, "ends early"},
		{"a changed header", changed(30), true, "damaged"},
		{"a changed message", changed(len(whole) / 2), true, "damaged"},
		{"a changed end", changed(len(whole) - 1), true, "damaged"},
		{"more than all", append(slices.Clone(whole), 'x'), true, "something follows its end"},
		{"no key", whole, false, "whose key lay in " + filepath.Join(from, "store.key")},
	} {
		to := filepath.Join(t.TempDir(), "to")
		if refused.key {
			copyKey(t, from, to)
		}
		path := filepath.Join(folder, "refused")
		testkit.NoError(t, os.WriteFile(path, refused.content, 0o600))
		if code, _, errOut := runProgram(t, nil, "import", path, "--data-dir", to); code != 1 || !strings.Contains(errOut, refused.want) {
			t.Errorf("the import of %s ends with %d: %s; want %q", refused.what, code, errOut, refused.want)
		}
		if _, err := os.Stat(filepath.Join(to, "engine")); err == nil {
			t.Errorf("the import of %s has made something", refused.what)
		}
	}

	other := tellStory(t, 300<<10)
	other.terminate()
	if code, _, errOut := runProgram(t, nil, "import", file, "--data-dir", other.dir); code != 1 || !strings.Contains(errOut, "another key than that in "+other.dir) || !strings.Contains(errOut, "lay in "+from) {
		t.Errorf("an import where another key is ends with %d: %s", code, errOut)
	}
	if code, _, errOut := runProgram(t, nil, "import", file, "--data-dir", from); code != 1 || !strings.Contains(errOut, "something stored already") {
		t.Errorf("an import where something is stored ends with %d: %s", code, errOut)
	}
	s.start() // nothing has changed there
	if code, _, errOut := runProgram(t, nil, "import", file, "--data-dir", from); code != 1 || !strings.Contains(errOut, "in use by another process") {
		t.Errorf("an import into a directory in use ends with %d: %s", code, errOut)
	}
}
