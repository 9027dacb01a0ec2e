package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// runTransfer sends a large document up and down through each proxy and reads
// how much memory that took.
func runTransfer(ctx context.Context, b *bench, names []string) error {
	for _, direction := range []struct {
		name string
		send func(ctx context.Context, base string) (int64, error)
	}{{"up", upload}, {"down", download}} {
		c := &comparison{
			title:  fmt.Sprintf("transfer: %d MB %s", documentSize/1_000_000, direction.name),
			limits: []limit{{"MB more", "", 20, false}},
		}
		err := b.inTurn(ctx, c, names, func(ctx context.Context, i int) ([]figure, error) {
			return b.transfer(ctx, names[i], direction.send)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// transfer sends a document through a fresh process, as one that has held a
// document before needs no more memory for the next.
func (b *bench) transfer(ctx context.Context, name string, send func(ctx context.Context, base string) (int64, error)) ([]figure, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	s, err := b.startServer(ctx, name, api{})
	if err != nil {
		return nil, err
	}
	defer s.end()
	// One small request first: what every request needs is not the document's.
	if err := errors.Join(verifySmall(ctx, s), resetPeak(s.pid)); err != nil {
		return nil, err
	}
	before, began := usageOf(s.pid), time.Now()
	arrived, err := send(ctx, "http://"+s.address)
	took, after := time.Since(began), usageOf(s.pid)
	if err == nil && arrived != documentSize {
		err = fmt.Errorf("%d bytes arrived, want %d", arrived, documentSize)
	}
	return []figure{
		{"MB before", 1, before.now}, {"MB at most", 1, after.peak}, {"MB more", 1, after.peak - before.now}, {"seconds", 1, took.Seconds()},
	}, errors.Join(err, s.dead())
}

// upload sends a document and returns how much of it arrived.
func upload(ctx context.Context, base string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+uploadPath, newDocument())
	if err != nil {
		return 0, err
	}
	req.ContentLength = documentSize
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(text), 10, 64)
}

// download receives a document, slowly, and returns how much of it arrived.
func download(ctx context.Context, base string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+downloadPath, nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	return io.Copy(io.Discard, &slowReader{source: res.Body})
}
