package main

import (
	"context"
	"io"
	"time"
)

// demoCmd shows what the bridge does, without any upstream.
type demoCmd struct {
	Duration time.Duration `default:"30s"`
	Clients  int           `default:"50"`
	Sessions int           `default:"20"`
}

func (c *demoCmd) Run(ctx context.Context, out io.Writer) error { return nil }
