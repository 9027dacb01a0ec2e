package check

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pollbridge/internal/testkit"
)

// TestSystemd: systemd takes the unit, alone and with the file that makes it a replica, and the
// program takes the settings that they give it.
func TestSystemd(t *testing.T) {
	systemd := installed(t, "systemd-analyze")
	binary, err := program()
	testkit.NoError(t, err)
	unit := strings.ReplaceAll(read(t, "deploy/systemd/pollbridge.service"), "/usr/local/bin/pollbridge", binary)
	replica := read(t, "deploy/systemd/replica.conf")
	for name, dropIn := range map[string]string{"single": "", "replica": replica} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "pollbridge.service")
			testkit.NoError(t, os.WriteFile(path, []byte(unit), 0o600))
			if dropIn != "" {
				testkit.NoError(t, os.Mkdir(path+".d", 0o700))
				testkit.NoError(t, os.WriteFile(filepath.Join(path+".d", "replica.conf"), []byte(dropIn), 0o600))
			}
			if said := run(t, systemd, "verify", "--man=no", path); strings.Contains(said, "pollbridge") {
				t.Error(said)
			}
			environment := map[string]string{"POLLBRIDGE_UPSTREAM_URL": "https://signing.example.com"}
			if dropIn != "" {
				environment["POLLBRIDGE_ADMIN_KEY"] = adminKey
			}
			for _, match := range assignments.FindAllStringSubmatch(unit+"\n"+dropIn, -1) {
				for assignment := range strings.FieldsSeq(match[1]) {
					variable, value, _ := strings.Cut(assignment, "=")
					environment[variable] = strings.NewReplacer("%S", "/var/lib", "%d", "/run/credentials").Replace(value)
				}
			}
			checkConfig(t, environment)
		})
	}
}

var assignments = regexp.MustCompile(`(?m)^Environment=(.*)$`)
