package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"runtime"

	"pollbridge/config"
)

// warnOfOpenKeys names the files of keys that any user of this machine can read. A group
// may be meant to.
func warnOfOpenKeys(cfg *config.Config, log *slog.Logger) {
	for _, path := range []string{
		cfg.Store.EncryptionKeyFile, filepath.Join(cfg.Store.Dir, "store.key"), filepath.Join(cfg.Store.Dir, "admin.key"), cfg.Proxy.TLS.KeyFile,
	} {
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o007 != 0 && runtime.GOOS != "windows" {
			log.Warn("every user of this machine can read this key file: restrict it with chmod 600, and replace the key if others may have read it",
				"file", path, "mode", info.Mode().Perm().String())
		}
	}
}
