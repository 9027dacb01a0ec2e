package main

import (
	"context"
	"errors"
	"io"
	"os"

	"pollbridge/store"
	"pollbridge/store/transfer"
)

// exportCmd writes everything stored into a file.
type exportCmd struct {
	File string `arg:"" name:"file" help:"Where to; - is standard output. A file that is there is replaced when all is written."`
	moving
}

// Help is what --help says besides the flags.
func (exportCmd) Help() string {
	return `A data directory (store.dir) can be exported while no process uses it; a fleet (store.nats.url) while it runs. ` +
		`What was encrypted stays so: the file is worth nothing without the key, which is not in it.` + settingsHelp
}

// Run exports. Progress goes to standard error.
func (c *exportCmd) Run(ctx context.Context, out io.Writer) error {
	if c.File == "-" && isTerminal(out) {
		return errors.New("standard output is a terminal: name a file, or send it somewhere")
	}
	cfg, err := c.load()
	if err != nil {
		return err
	}
	m, err := openMoved(ctx, cfg, store.Options{Existing: true})
	if err != nil {
		return err
	}
	defer m.close()
	ctx, cancel := m.allowed(ctx)
	defer cancel()
	progress := newProgress(os.Stderr, "exported")
	var records uint64
	write := func(out io.Writer) (err error) {
		records, err = transfer.Export(ctx, m.store, out, transfer.Header{Program: programVersion(), From: m.place, KeyFile: absolute(m.key.Path())}, progress.tell)
		return err
	}
	if c.File == "-" {
		err = write(out)
	} else {
		err = transfer.WriteFile(c.File, write)
	}
	progress.end(records, err)
	return m.bridge.whyNot(err)
}
