package settings_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pollbridge/internal/check"
	"pollbridge/internal/settings"
)

// sample has a setting of every shape.
type sample struct {
	Outer   outer    `yaml:",inline"`
	Name    string   `yaml:"name"`
	Count   int      `yaml:"count"`
	Ratio   float64  `yaml:"ratio"`
	On      bool     `yaml:"on"`
	Level   level    `yaml:"level"`
	Section inner    `yaml:"section"`
	Rows    []row    `yaml:"rows"`
	Words   []string `yaml:"words"`
	Unknown int      // has no tag, so it is none
}

type outer struct {
	Wait     time.Duration  `yaml:"wait"`
	Networks []netip.Prefix `yaml:"networks"`
}

type inner struct {
	URL    string            `yaml:"url"`
	Keys   []string          `yaml:"keys" secret:"true"`
	Hosts  map[string]string `yaml:"hosts" secret:"true"`
	Proxy  string            `yaml:"proxy" secret:"maybe"`
	Deeper struct {
		Waits []time.Duration `yaml:"waits"`
	} `yaml:"deeper"`
}

type row struct {
	Name   string            `yaml:"name"`
	Places map[string]string `yaml:"places"`
	Values []string          `yaml:"values"`
}

// level reads itself.
type level string

func (l *level) UnmarshalText(text []byte) error {
	if s := string(text); s != "low" && s != "high" {
		return errLevel
	}
	*l = level(text)
	return nil
}

type textError string

func (e textError) Error() string { return string(e) }

const errLevel = textError("want low or high")

// file writes content to a file of its own and returns its path.
func file(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sample.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var pathOfFile = regexp.MustCompile(`file /\S+\.yaml`)

// read reads what the sources say, and all mistakes with PATH for that of the file.
func read(from settings.Sources) (s sample, r *settings.Reading, mistakes string) {
	s = sample{Name: "anybody", Level: "low"}
	r = settings.Read(&s, from)
	if err := r.Err(nil); err != nil {
		mistakes = pathOfFile.ReplaceAllString(err.Error(), "PATH")
	}
	return s, r, mistakes
}

var comments = regexp.MustCompile(`(?m)^ *# .*\n| # (file|flag|environment) .*$`)

// printed is s as YAML, without the comments that say where a setting comes from.
func printed(t testing.TB, s sample, r *settings.Reading) string {
	t.Helper()
	var text strings.Builder
	if err := r.Print(&text, &s); err != nil {
		t.Fatalf("Print: %v", err)
	}
	return comments.ReplaceAllString(text.String(), "")
}

func TestMistakes(t *testing.T) {
	for _, test := range []struct {
		name string
		file string
		env  string
		want string // every line
	}{
		{name: "an unknown key", file: "section: {ulr: a}",
			want: "section.ulr: unknown setting; did you mean section.url? (PATH:1)"},
		{name: "an unknown section", file: "\nsecton: {url: a}",
			want: "secton: unknown setting; did you mean section? (PATH:2)"},
		{name: "a forgotten section", file: "waits: [1s]",
			want: "waits: unknown setting; did you mean section.deeper.waits? (PATH:1)"},
		{name: "half of the sections", file: "section: {waits: [1s]}",
			want: "section.waits: unknown setting; did you mean section.deeper.waits? (PATH:1)"},
		{name: "a key like no other", file: "rows_and_rows: {hosts: a}",
			want: "rows_and_rows: unknown setting (PATH:1)"},
		{name: "a key of elsewhere", file: "section: {count: 1}",
			want: "section.count: unknown setting; did you mean count? (PATH:1)"},
		{name: "a dotted key", file: "section.url: a",
			want: "section.url: unknown setting; a dot does not open a section here: write section: {url: …} (PATH:1)"},
		{name: "a key of a row", file: "rows:\n- nam: x",
			want: "rows[0].nam: unknown setting; did you mean rows[0].name? (PATH:2)"},
		{name: "a key that stands twice", file: "section:\n  url: a\n  url: b",
			want: "section.url: the same name is already used at PATH:2 (PATH:3)"},
		{name: "a merge key", file: "<<: {name: a}",
			want: "<<: unknown setting (PATH:1)"},
		{name: "a key that could be a secret", file: "section:\n  Zm9vYmFyMTIzNDU2Nzg5: x",
			want: "section.…: unknown setting (PATH:2)"},
		{name: "one that stands twice", file: "Zm9vYmFyMTIzNDU2Nzg5: x\nZm9vYmFyMTIzNDU2Nzg5: x",
			want: "…: unknown setting (PATH:1)\n…: the same name is already used at PATH:1 (PATH:2)"},
		{name: "a list for a name", file: "[a]: b",
			want: "PATH:1: has a list for a name: want text"},
		{name: "no unit", file: "section:\n  deeper: {waits: [1s, 10]}",
			want: `section.deeper.waits[1]: "10": want a duration with units, such as 10s or 1h30m (PATH:2)`},
		{name: "an empty duration", file: "wait: ''",
			want: `wait: want a duration with units, such as 10s or 1h30m (PATH:1)`},
		{name: "a list for a number", file: "count: [1, 2]",
			want: "count: is a list: want a whole number (PATH:1)"},
		{name: "a mapping for a text", file: "name: {a: b}",
			want: "name: is a mapping: want a single text (PATH:1)"},
		{name: "a list for what reads itself", file: "level: []",
			want: "level: is a list: want low or high (PATH:1)"},
		{name: "what it does not read", file: "level: middle",
			want: `level: "middle": want low or high (PATH:1)`},
		{name: "a text for a list", file: "networks: 10.0.0.0/8",
			want: `networks: "10.0.0.0/8": want a list, as in [A, B] (PATH:1)`},
		{name: "a text for a section", file: "section: 1s",
			want: "section: is a single value: want names with values, as in NAME: VALUE (PATH:1)"},
		{name: "a list for a section", file: "- section",
			want: "PATH:1: is a list: want names with values, as in NAME: VALUE"},
		{name: "an empty element", file: "networks:\n- ::1\n-",
			want: "networks[1]: is empty: want a network such as 10.0.0.0/8 or fd00::/8, or a single address (PATH:3)"},
		{name: "a network that matches nothing", file: "networks: ['::ffff:10.0.0.0/104']",
			want: `networks[0]: "::ffff:10.0.0.0/104": want a network such as 10.0.0.0/8 or fd00::/8, or a single address (PATH:1)`},
		{name: "a fraction", file: "count: 1.5",
			want: `count: "1.5": want a whole number (PATH:1)`},
		{name: "a number out of range", file: "count: 99999999999999999999",
			want: `count: "99999999999999999999": want a whole number (PATH:1)`},
		{name: "no number", file: "ratio: half",
			want: `ratio: "half": want a number such as 0.5 (PATH:1)`},
		{name: "no boolean", file: "on: maybe",
			want: `on: "maybe": want true or false (PATH:1)`},
		{name: "a tag", file: "name: !secret name",
			want: "name: has a tag, which means nothing here; a text that begins with ! needs quotes: want a single text (PATH:1)"},
		{name: "a second document", file: "name: a\n---\nname: b",
			want: "PATH:2: starts a second document: want one document in the file"},
		{name: "no YAML", file: "section:\n\turl: 1s",
			want: "PATH:2: is not valid YAML: found character that cannot start any token"},
		{name: "no end of a list", file: "words: [a",
			want: "PATH:1: is not valid YAML: did not find expected ',' or ']'"},
		{name: "a text that reads as an alias", file: "words: [*a]",
			want: "PATH: is not valid YAML: a text that begins with * needs quotes"},
		{name: "two wrong sources", file: "count: many", env: "RATIO=half",
			want: `count: "many": want a whole number (PATH:1)` + "\n" + `ratio: "half": want a number such as 0.5 (environment POLLBRIDGE_RATIO)`},
		{name: "a wrong element of a line", env: "NETWORKS=::1 , 10.0.0/8",
			want: `networks[1]: "10.0.0/8": want a network such as 10.0.0.0/8 or fd00::/8, or a single address; here a list is written A,B (environment POLLBRIDGE_NETWORKS)`},
		{name: "a list of another form", env: "NETWORKS=[::1]",
			want: `networks[0]: "[::1]": want a network such as 10.0.0.0/8 or fd00::/8, or a single address; here a list is written A,B (environment POLLBRIDGE_NETWORKS)`},
		{name: "a table of another form", env: "SECTION_HOSTS=a.test=1,b.test: 2==",
			want: "section.hosts: has an entry that is not NAME=VALUE (it is not shown); here a table is written NAME=VALUE,NAME=VALUE (environment POLLBRIDGE_SECTION_HOSTS, entry 2)"},
		{name: "a name twice in a line", env: "SECTION_HOSTS=a=1,a=2",
			want: "section.hosts: the same name is already used at environment POLLBRIDGE_SECTION_HOSTS, entry 1; here a table is written NAME=VALUE,NAME=VALUE (environment POLLBRIDGE_SECTION_HOSTS, entry 2)"},
		{name: "rows in a line", env: "ROWS=a",
			want: "rows: can only be set in the file (environment POLLBRIDGE_ROWS)"},
		{name: "an unknown variable", env: "SECTION_ULR=x",
			want: "environment POLLBRIDGE_SECTION_ULR: unknown setting; did you mean POLLBRIDGE_SECTION_URL?"},
		{name: "a variable without a section", env: "WAITS=x",
			want: "environment POLLBRIDGE_WAITS: unknown setting; did you mean POLLBRIDGE_SECTION_DEEPER_WAITS?"},
		{name: "a variable like no other", env: "VERBOSE_OUTPUT=1",
			want: "environment POLLBRIDGE_VERBOSE_OUTPUT: unknown setting"},
	} {
		from := settings.Sources{File: file(t, test.file)}
		if test.env != "" {
			from.Env = []string{"POLLBRIDGE_" + test.env}
		}
		if _, _, got := read(from); got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.name, got, test.want)
		}
	}
}

func TestAFileThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		dir + "/none": "file " + dir + "/none: cannot be read: no such file or directory",
		dir:           "file " + dir + ": cannot be read: is a directory",
	} {
		var s sample
		// That a setting is missing would be a guess: it may well be in the file.
		err := settings.Read(&s, settings.Sources{File: path}).Err(check.Mistake{Key: "name", Problem: "is not set"})
		if err == nil || err.Error() != want {
			t.Errorf("Read(%s): %v; want %s", path, err, want)
		}
	}
}

func TestValidationIsLocated(t *testing.T) {
	_, r, _ := read(settings.Sources{
		File:  file(t, "section:\n  keys:\n  - a\n  - b\n  hosts:\n    one.test: a\n    two.test: b\n  deeper: {waits: [1s]}\ncount: x\n"),
		Env:   []string{"POLLBRIDGE_WORDS=a,b"},
		Flags: []settings.Flag{{Name: "--name", Key: "name", Value: "x"}},
	})
	var found check.Mistakes
	found.Want(false, "count", 0, "more") // only follows from what could not be read
	found.Want(false, "ratio", 0, "more")
	found.Want(false, "name", "x", "another")
	found.Want(false, "section.keys[1]", "sesame", "another")
	found.AddEntry("section.hosts", "two.test", "want another")
	found.Want(false, "section.proxy", "sesame", "another")
	found.Want(false, "section.deeper.waits[0]", "1s", "more")
	found.Want(false, "words[1]", "b", "another")
	found.Add("", "is wrong as a whole")
	want := `count: "x": want a whole number (PATH:9)
ratio: "0": want more
name: "x": want another (flag --name)
section.keys[1]: want another (PATH:4)
section.hosts: want another (PATH:7)
section.proxy: want another
section.deeper.waits[0]: "1s": want more (PATH:8)
words[1]: "b": want another; here a list is written A,B (environment POLLBRIDGE_WORDS)
is wrong as a whole`
	if got := pathOfFile.ReplaceAllString(r.Err(found.Err()).Error(), "PATH"); got != want {
		t.Errorf("Err() =\n%s\nwant\n%s", got, want)
	}
}

func TestNearerSourcesWin(t *testing.T) {
	s, r, mistakes := read(settings.Sources{
		File: file(t, "name: file\ncount: 1\nratio: 0.5\nwords: [a, b, c]\nsection: {hosts: {a: x, b: y}}"),
		Env:  []string{"POLLBRIDGE_NAME=environment", "POLLBRIDGE_COUNT=2", "POLLBRIDGE_WORDS=d", "POLLBRIDGE_SECTION_HOSTS=c=z", "POLLBRIDGE_RATIO="},
		Flags: []settings.Flag{
			{Name: "--name", Key: "name", Value: "flag"},
			{Name: "--on", Key: "on", Value: "true"},
		},
	})
	want := sample{Name: "flag", Count: 2, Ratio: 0.5, Words: []string{"d"}, On: true, Level: "low"}
	want.Section.Hosts = map[string]string{"c": "z"}
	if mistakes != "" || printed(t, s, r) != printed(t, want, &settings.Reading{}) || s.Section.Hosts["c"] != "z" {
		t.Errorf("Read(file, environment, flags) = %+v, %s; want %+v", s, mistakes, want)
	}
}

func TestNothingUnderAKeyIsNotSet(t *testing.T) {
	s, _, mistakes := read(settings.Sources{File: file(t, "# nothing but comments in it\nsection:\n  # url: a\nname:\nwords: ~\n")})
	if mistakes != "" || s.Name != "anybody" || s.Words != nil {
		t.Errorf("Read = %+v, %s; want everything as it was", s, mistakes)
	}
	if s, _, mistakes = read(settings.Sources{File: file(t, "# nothing\n")}); mistakes != "" || s.Name != "anybody" {
		t.Errorf("Read(empty file) = %+v, %s; want everything as it was", s, mistakes)
	}
}

func TestTextStaysAsItWasWritten(t *testing.T) {
	s, _, mistakes := read(settings.Sources{File: file(t, "name: 007\nwords: [01234567890123456789, &x yes]\ncount: '5'\nsection: {url: *x}")})
	if mistakes != "" || s.Name != "007" || s.Words[0] != "01234567890123456789" || s.Section.URL != "yes" || s.Count != 5 {
		t.Errorf("Read = %+v, %s", s, mistakes)
	}
}

func TestPrintMasksSecretsAndSaysWhereFrom(t *testing.T) {
	s, r, mistakes := read(settings.Sources{
		File: file(t, "name: a\nsection:\n  keys: [sesame]\n  hosts: {b.test: sesame, a.test: sesame}\n  url: https://u:sesame@a.test\nrows:\n- {name: x, places: {p: q}}\n"),
		Env:  []string{"POLLBRIDGE_WORDS=1,two", "POLLBRIDGE_SECTION_PROXY=http://u:sesame@p.test:1"},
	})
	if mistakes != "" {
		t.Fatal(mistakes)
	}
	var text strings.Builder
	if err := r.Print(&text, &s); err != nil {
		t.Fatal(err)
	}
	want := `wait: 0s
networks: []
name: a # PATH:1
count: 0
ratio: 0
on: false
level: low
section:
  url: https://***@a.test # PATH:5
  keys: ['***'] # PATH:3
  # PATH:4
  hosts:
    a.test: '***'
    b.test: '***'
  proxy: http://***@p.test:1 # environment POLLBRIDGE_SECTION_PROXY
  deeper:
    waits: []
# PATH:7
rows:
  - name: x
    places:
      p: q
    values: []
words: ["1", two] # environment POLLBRIDGE_WORDS
`
	if got := pathOfFile.ReplaceAllString(text.String(), "PATH"); got != want {
		t.Errorf("Print() =\n%s\nwant\n%s", got, want)
	}
}

func TestWhatKubernetesSetsIsIgnored(t *testing.T) {
	_, _, mistakes := read(settings.Sources{Env: []string{
		"PATH=/bin", "POLLBRIDGE=x",
		"POLLBRIDGE_PORT=tcp://10.0.0.1:8080", "POLLBRIDGE_PORT_8080_TCP=tcp://10.0.0.1:8080", "POLLBRIDGE_PORT_8080_TCP_ADDR=10.0.0.1",
		"POLLBRIDGE_SERVICE_HOST=10.0.0.1", "POLLBRIDGE_SERVICE_PORT=8080", "POLLBRIDGE_SERVICE_PORT_HTTP=8080",
		"POLLBRIDGE_ADMIN_PORT=tcp://10.0.0.1:8090", "POLLBRIDGE_ADMIN_SERVICE_HOST=10.0.0.1", "POLLBRIDGE_ADMIN_PORT_8090_TCP_PROTO=tcp",
	}})
	if mistakes != "" {
		t.Error(mistakes)
	}
}
