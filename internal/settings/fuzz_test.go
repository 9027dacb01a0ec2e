package settings_test

import (
	"strings"
	"testing"

	"pollbridge/internal/check"
	"pollbridge/internal/settings"
)

// FuzzFile: whatever stands in the file, reading it ends in settings that read again as
// they were printed, or in mistakes that can be read.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		"", "name: ':1'", "words: &a [*a]", "section: &c {url: 1s}\nrows: *c", "? [a]\n: b", "<<: 1", "--- 1\n---\n",
		"rows: [{name: a, places: {x: /y}}]", "section: {hosts: {a.b: c}, deeper: {waits: [1s, ~]}}", "count: !!int 1\n", "? *x",
		"networks: ['::1', 10.0.0.0/8]\nname: \"\\x00\"\nlevel: high\nratio: 1e300\non: true\nwait: 1h",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		s, r, mistakes := read(settings.Sources{File: file(t, content)})
		if mistakes != "" {
			for _, m := range check.All(r.Err(nil)) {
				if m.Problem == "" || m.Key == "" && m.Source == "" {
					t.Errorf("a mistake says too little: %+v", m)
				}
			}
			return
		}
		text := printed(t, s, r)
		if len(s.Section.Keys)+len(s.Section.Hosts) > 0 || strings.Contains(text, "***") {
			return // what is masked does not come back
		}
		again, r, mistakes := read(settings.Sources{File: file(t, text)})
		if got := printed(t, again, r); mistakes != "" || got != text {
			t.Errorf("printed and read again:\n%s%s\nwant\n%s", mistakes, got, text)
		}
	})
}

// FuzzSecrets: wherever a secret stands among settings that are secret, and whatever is
// wrong around it, no mistake shows it.
func FuzzSecrets(f *testing.F) {
	const secret = "Zm9vYmFyMTIzNDU2Nzg5"
	for _, seed := range []string{
		"keys: [SECRET]", "keys: SECRET", "keys: [[SECRET]]", "keys: {SECRET: SECRET}", "keys: [*SECRET]", "keys: [!SECRET x]", "keys: [&SECRET ]",
		"keys: ['SECRET]", "keys: [\"\\SECRET\"]", "keys: [SECRET]\nkeys: [SECRET]", "SECRET", "- SECRET", "SECRET: a\nSECRET: b", "? SECRET",
		"hosts: {a.test: SECRET}", "hosts: {SECRET: a.test, SECRET: a}", "hosts: {a.test: [SECRET]}", "hosts: SECRET", "hosts: [SECRET]", "hosts: {SECRET: ~}",
		"proxy: [SECRET]", "proxy: {SECRET: a}", "proxy: !SECRET a", "key: SECRET", "deeper: SECRET", "deeper: {SECRET: 1s}", "%SECRET", "@SECRET", "`SECRET", "a: |SECRET",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		var s inner
		content = strings.ReplaceAll(content, "SECRET", secret)
		var found check.Mistakes // as a Validate would say of everything
		r := settings.Read(&s, settings.Sources{File: file(t, content), Env: []string{"POLLBRIDGE_KEYS=" + content, "POLLBRIDGE_HOSTS=" + content, "POLLBRIDGE_PROXY=" + content}})
		for _, key := range s.Keys {
			found.Want(false, "keys[0]", key, "another")
		}
		for host, value := range s.Hosts {
			found.Want(false, "hosts."+host, value, "another")
		}
		found.Want(false, "proxy", s.Proxy, "another")
		if err := r.Err(found.Err()); err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%q shows the secret:\n%v", content, err)
		}
	})
}
