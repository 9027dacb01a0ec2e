package main

import (
	"context"
	"fmt"
	"io"
	"os"
)

// checkConfigCmd validates the configuration and prints what is in effect.
type checkConfigCmd struct {
	settings
}

// Run prints the effective configuration to out, secrets masked. Nothing is printed if
// there are mistakes in it, which the error joins.
func (c *checkConfigCmd) Run(_ context.Context, out io.Writer) error {
	effective, err := c.load(os.Environ())
	if err != nil {
		return err
	}
	if err := effective.YAML(out); err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	return nil
}
