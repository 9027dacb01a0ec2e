package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pollbridge/internal/testkit"
)

const twoSubscriptions = `{"items":[
	{"id":"sub_one","url":"https://user:sesame@a.example/sesame?sesame","enabled":true,"headers":{"sesame":"sesame"},"description":"sesame"},
	{"id":"sub_two","url":"http://b.example","enabled":false}]}`

// TestCompletion completes what is typed up to the last word.
func TestCompletion(t *testing.T) {
	t.Parallel()
	server := testkit.Serve(t, management(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(twoSubscriptions)) }))
	env := []string{"POLLBRIDGE_ADMIN_LISTEN=" + strings.TrimPrefix(server.URL, "http://"), "POLLBRIDGE_ADMIN_KEY=" + managementKey}
	for line, want := range map[string]string{
		"":                                 "serve demo simulate-upstream listen check-config export import healthcheck version subscriptions sessions deliveries events stats completion",
		"su":                               "subscriptions",
		"subscriptions ":                   "list create show update enable disable delete test rotate-secret recover",
		"subscriptions re":                 "recover",
		"subscriptions show ":              "sub_one sub_two",
		"subscriptions show --json sub_t":  "sub_two",
		"subscriptions show sub_one ":      "",
		"subscriptions show --key-file - ": "",
		"subscriptions show --server http://127.0.0.1:1 ": "",
		"subscriptions --":                                  "--help",
		"subscriptions recover --s":                         "--since --server",
		"deliveries list --subscription ":                   "sub_one sub_two",
		"deliveries list --subscription=sub_o":              "--subscription=sub_one",
		"deliveries list --state ":                          "waiting delivered dead superseded",
		"deliveries list --state = d":                       "delivered dead", // as bash takes it apart
		"deliveries list --state =":                         "waiting delivered dead superseded",
		"sessions list -w --state not":                      "not_found",
		"completion ":                                       "bash zsh fish",
		"nonsense ":                                         "",
		"subscriptions create --signature v1a https://x --": "--help --events --endpoints --account-file --session --include-file --description --headers-file --signature --disabled --server --key-file --key --ca-file --config --data-dir --json",
	} {
		code, out, errOut := runProgram(t, env, append([]string{"complete", "--"}, strings.Split(line, " ")...)...)
		var got []string
		for line := range strings.Lines(out) {
			word, _, _ := strings.Cut(line, "\t")
			got = append(got, strings.TrimSuffix(word, "\n"))
		}
		if code != 0 || errOut != "" || strings.Join(got, " ") != want {
			t.Errorf("%q is completed by %d %q %q; want %q", line, code, got, errOut, want)
		}
		if strings.Contains(out, "sesame") {
			t.Errorf("%q is completed by a secret: %s", line, out)
		}
	}
}

// TestShellsComplete has the shells that are installed complete a word.
func TestShellsComplete(t *testing.T) {
	t.Parallel()
	path, err := program()
	testkit.NoError(t, err)
	server := testkit.Serve(t, management(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(twoSubscriptions)) }))
	for shell, script := range map[string]string{
		"bash": `source <(pollbridge completion bash); COMP_WORDS=(pollbridge subscriptions show sub_); COMP_CWORD=3; _pollbridge; printf '%s\n' "${COMPREPLY[@]}"`,
		"fish": `pollbridge completion fish | source; complete -C 'pollbridge subscriptions show sub_'`,
		// Only its line editor calls the function, so that is stood in for.
		"zsh": `compdef() { }; _describe() { print -l $found }; source <(pollbridge completion zsh); words=(pollbridge subscriptions show sub_); CURRENT=4; _pollbridge`,
	} {
		shellPath, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("%s is not installed", shell)
			continue
		}
		c := exec.Command(shellPath, "-c", script)
		c.Env = []string{"HOME=" + t.TempDir(), "PATH=" + filepath.Dir(path) + string(os.PathListSeparator) + os.Getenv("PATH"),
			"POLLBRIDGE_ADMIN_KEY=" + managementKey, "POLLBRIDGE_ADMIN_LISTEN=" + strings.TrimPrefix(server.URL, "http://")}
		out, err := c.CombinedOutput()
		found := slices.Collect(strings.Lines(string(out)))
		if err != nil || len(found) != 2 || !strings.HasPrefix(found[0], "sub_one") || !strings.HasPrefix(found[1], "sub_two") {
			t.Errorf("%s completes by %q, %v", shell, out, err)
		}
	}
}
