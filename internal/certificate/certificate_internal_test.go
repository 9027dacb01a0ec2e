package certificate

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pollbridge/internal/testkit"
)

// TestRenewedCertificate is inside of the package because the files are looked at
// once a minute only.
func TestRenewedCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := Files{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}
	var logged testkit.LogBuffer
	shown := &certificate{files: files, log: logged.Logger(slog.LevelInfo)}
	wantLog := func(words ...string) {
		t.Helper()
		lines := strings.Split(strings.TrimSpace(logged.String()), "\n")
		if len(lines) != len(words) {
			t.Fatalf("logged %q; want lines about %q", lines, words)
		}
		for i, word := range words {
			if !strings.Contains(lines[i], word) {
				t.Errorf("line %d is %s; want it to tell of %s", i, lines[i], word)
			}
		}
	}
	written := time.Now().Add(-time.Hour)
	renew := func(write ...string) []byte {
		t.Helper()
		c := testkit.NewCertificate(t)
		written = written.Add(time.Minute)
		for _, path := range write {
			from := c.CertFile
			if path == files.KeyFile {
				from = c.KeyFile
			}
			testkit.NoError(t, os.Rename(from, path))
			testkit.NoError(t, os.Chtimes(path, written, written))
		}
		return c.Certificate.Certificate[0]
	}
	aMinuteLater := func() []byte {
		shown.mu.Lock()
		shown.checked = time.Time{}
		shown.mu.Unlock()
		return shown.current().Certificate[0]
	}

	if err := shown.readLocked(); err == nil {
		t.Error("read without files succeeds")
	}
	first := renew(files.CertFile, files.KeyFile)
	testkit.NoError(t, shown.readLocked())
	second := renew(files.CertFile, files.KeyFile)
	if got := shown.current().Certificate[0]; !bytes.Equal(got, first) {
		t.Error("the files were looked at again at once")
	}
	if got := aMinuteLater(); !bytes.Equal(got, second) {
		t.Error("the renewed certificate is not shown")
	}
	renew(files.CertFile)
	if got := aMinuteLater(); !bytes.Equal(got, second) {
		t.Error("a certificate whose key is not there yet is shown")
	}
	third := renew(files.CertFile, files.KeyFile)
	if got := aMinuteLater(); !bytes.Equal(got, third) {
		t.Error("the certificate is not shown after its key came")
	}
	aMinuteLater()
	wantLog("renewed", "cannot be read", "renewed")
	os.Remove(files.CertFile)
	for range 2 {
		if got := aMinuteLater(); !bytes.Equal(got, third) {
			t.Error("without files, the last certificate is not shown")
		}
	}
	wantLog("renewed", "cannot be read", "renewed", "cannot be read")
}
