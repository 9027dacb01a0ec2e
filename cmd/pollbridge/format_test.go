package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pollbridge/internal/testkit"
)

// lasting has nothing be forgotten or over by the time at which a test reads it.
var lasting = []string{"POLLBRIDGE_STORE_RETAIN=700000h", "POLLBRIDGE_STORE_HISTORY=700000h", "POLLBRIDGE_WATCH_DEADLINE=700000h"}

// kept is what a version told of what it has stored.
type kept struct {
	Pending  string         `json:"pending"`
	Path     string         `json:"path"`
	Document string         `json:"document"`
	Cursor   string         `json:"cursor"`
	Told     map[string]any `json:"told"` // by path of the management API
}

func (k kept) paths() []string {
	return []string{"/v1/events?limit=100", "/v1/events?after=" + k.Cursor, "/v1/deliveries?state=dead", "/v1/subscriptions"}
}

// TestFormats: what a version with an earlier format has stored, or one with this, is read, and goes
// on. testdata has an export for each format, its key, and what that version told; with
// POLLBRIDGE_WRITE_FORMAT=testdata/formatN this test writes them.
func TestFormats(t *testing.T) {
	t.Parallel()
	if folder := os.Getenv("POLLBRIDGE_WRITE_FORMAT"); folder != "" {
		writeFormat(t, folder)
	}
	here, err := os.Getwd()
	testkit.NoError(t, err)
	folders, err := filepath.Glob(filepath.Join(here, "testdata/format*"))
	testkit.NoError(t, err)
	if len(folders) == 0 {
		t.Fatal("there are no records")
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Parallel()
			readFormat(t, folder)
		})
	}
}

func writeFormat(t *testing.T, folder string) {
	folder, err := filepath.Abs(folder)
	testkit.NoError(t, err)
	s := tellStory(t, 20<<10, lasting...)
	k := kept{Pending: s.pending, Path: s.path, Document: s.document, Cursor: s.cursor, Told: map[string]any{}}
	for _, path := range k.paths() {
		k.Told[path] = s.page(path)
	}
	s.terminate()
	testkit.NoError(t, os.MkdirAll(folder, 0o755))
	mustRun(t, "export", filepath.Join(folder, "export"), "--data-dir", s.dir)
	copyKey(t, s.dir, folder)
	text, err := json.MarshalIndent(k, "", "\t")
	testkit.NoError(t, err)
	testkit.NoError(t, os.WriteFile(filepath.Join(folder, "kept.json"), append(text, '\n'), 0o644))
}

func readFormat(t *testing.T, folder string) {
	var k kept
	text, err := os.ReadFile(filepath.Join(folder, "kept.json"))
	testkit.NoError(t, err)
	testkit.NoError(t, json.Unmarshal(text, &k))
	var over atomic.Bool
	upstream := testkit.NewUpstream(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		if over.Load() {
			testkit.Respond(w, 200, `{"status":"ok"}`)
		} else {
			testkit.Respond(w, 200, `{"status":"waiting"}`)
		}
	})
	well := newWebhookReceiver(t, nil)
	// The receivers of then are at ports that others may have now.
	d := prepareDurable(t, upstream.URL, fmt.Sprintf(`
webhook: {allow_http: true, allow_networks: [127.0.0.0/8], allow_ports: [%d]}
watch: {interval: 200ms}
cache: {pending_ttl: 200ms}
`, well.Port()))
	d.env = append(d.env, lasting...)
	copyKey(t, folder, d.dir)
	mustRun(t, "import", filepath.Join(folder, "export"), "--data-dir", d.dir)
	d.start()
	for path, then := range k.Told {
		if now := any(d.page(path)); !tells(now, then) {
			t.Errorf("GET %s is %v; want all that was told then: %v", path, now, then)
		}
	}
	if status, body := ask("POST", d.public+k.Path, `{"access_token":"sesame-account-1"}`); status != 200 || body != k.Document {
		t.Errorf("the document is answered %d %.100s; want all of it, as then", status, body)
	}
	d.subscribe(well)
	over.Store(true)
	testkit.Eventually(t, "the end of the signing that was under way is told", func() bool { return well.finals()[k.Pending] != nil })
	if log := d.Log.String(); strings.Contains(log, "level=ERROR") {
		t.Errorf("the log says\n%s", log)
	}
}

// tells reports whether now has all that then has. Later versions may tell more, and what has become
// due since is tried at once, which is said of its subscription: after a day or two without an attempt it
// counts as failing since that one.
func tells(now, then any) bool {
	switch then := then.(type) {
	case map[string]any:
		now, _ := now.(map[string]any)
		for name, value := range then {
			switch name {
			case "next", "updated_at":
			case "failing_since":
				since, _ := now[name].(string)
				if was, _ := value.(string); since < was {
					return false
				}
			default:
				if !tells(now[name], value) {
					return false
				}
			}
		}
		return true
	case []any:
		now, _ := now.([]any)
		return slices.EqualFunc(now, then, tells)
	}
	return now == then
}
