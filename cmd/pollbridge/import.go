package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"pollbridge/fleet"
	"pollbridge/store"
	"pollbridge/store/transfer"

	"github.com/dustin/go-humanize/english"
)

// importCmd puts what was exported into an empty store.
type importCmd struct {
	File string `arg:"" name:"file" help:"What was exported; - is standard input."`
	moving
}

// Help is what --help says besides the flags.
func (importCmd) Help() string {
	return `Into a data directory (store.dir), or into a fleet's NATS (store.nats.url) of which no replica runs. There must be nothing stored there yet. ` +
		`An import that was broken off goes on when it is started again with the same file; until it is over, nothing else starts there.` + settingsHelp
}

// Run imports. Progress goes to standard error.
func (c *importCmd) Run(ctx context.Context) error {
	in := os.Stdin
	if c.File != "-" {
		file, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	file, err := transfer.Open(in)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	cfg, err := c.load()
	if err != nil {
		return err
	}
	key, err := store.FindKey(cfg.Store.Data, cfg.Store.Engine.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no key at %s: %s", key.Path(), file.KeyAdvice())
	}
	if err != nil {
		return err
	}
	if file, err = checked(file, in, key); err != nil {
		return fmt.Errorf("%s: %w; nothing was imported", c.File, err)
	}
	m, err := openMoved(ctx, cfg, store.Options{Import: true})
	if err != nil {
		return err
	}
	defer m.close()
	ctx, cancel := m.allowed(ctx)
	defer cancel()
	progress := newProgress(os.Stderr, "imported")
	records, unreadable, err := file.Import(ctx, m.store, transfer.Options{Key: key, Rename: m.rename, Unused: m.unused, Tell: progress.tell})
	progress.end(records, err)
	if unreadable > 0 {
		fmt.Fprintf(os.Stderr, "left out %s, damaged before the export\n", english.Plural(unreadable, "record", ""))
	}
	switch {
	case errors.Is(err, store.ErrImported):
		fmt.Fprintf(os.Stderr, "this export was imported into %s before: there is nothing to do\n", m.place)
		return nil
	case errors.Is(err, store.ErrNotEmpty):
		return fmt.Errorf("%s: %w: import into an empty one (another store.dir, or another store.nats.prefix)", m.place, err)
	case errors.Is(err, transfer.ErrCut), errors.Is(err, transfer.ErrDamaged):
		return fmt.Errorf("%w; what is there is not complete, and nothing starts on it: import again, from a whole copy of the same export", err)
	}
	return m.bridge.whyNot(err)
}

// checked reads all of a file before anything is imported, where it can be read twice.
func checked(file *transfer.File, in *os.File, key store.Key) (*transfer.File, error) {
	if _, err := in.Seek(0, io.SeekCurrent); err != nil { // a pipe
		return file, file.CheckKey(key)
	}
	if err := file.Check(key); err != nil {
		return nil, err
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return transfer.Open(in)
}

// unused fails while replicas run on the store.
func (m *moved) unused(ctx context.Context) error {
	if !m.store.Shared() {
		return nil // the directory is locked
	}
	names, err := fleet.Running(ctx, m.store)
	if err == nil && len(names) > 0 {
		err = fmt.Errorf("replicas run on %s (%s): stop all of them first; one that was killed counts for another 30 s", m.place, strings.Join(names, ", "))
	}
	return err
}

// rename is what a key is in the store: records of sessions begin with a slot in a fleet.
func (m *moved) rename(stream, key string) string {
	if stream != "TABLE_sessions" {
		return key
	}
	id := key[strings.LastIndexByte(key, '.')+1:]
	if !m.store.Shared() {
		return id
	}
	return fleet.SlotName(fleet.SlotOf(id)) + "." + id
}
