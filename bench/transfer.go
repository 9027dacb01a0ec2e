package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	transferSize    = 40_000_000
	transferMostMem = 20_000_000
	transferBound   = 60 * time.Second
)

// A transfer is one large body through one proxy.
type transfer struct {
	name string
	run  func(ctx context.Context, base string) error
}

// runTransfers sends a large document up and down through each proxy and reads
// how much memory that took. Whoever receives is slower than who sends, as
// only then does a proxy that holds documents show it.
func runTransfers(ctx context.Context, l *lab, r *report) error {
	depot, err := newDepot()
	if err != nil {
		return err
	}
	defer depot.close()

	var rows, bars [][]string
	for _, p := range proxies(l) {
		for _, t := range []transfer{{"up", upload}, {"down", download}} {
			l.log("  %s: %d MB %s", p.name, transferSize/1_000_000, t.name)
			seen, err := weigh(ctx, l, p, depot.address, t)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", p.name, t.name, err)
			}
			rows = append(rows, seen.row(p.name, t.name))
			if p.name == pollbridge {
				bars = append(bars, []string{"more memory, 40 MB " + t.name, megabytes(seen.more()),
					"under " + megabytes(transferMostMem), verdict(seen.more() < transferMostMem)})
			}
		}
	}
	r.table(fmt.Sprintf("passthrough: %d MB each way, resident memory", transferSize/1_000_000),
		[]string{"server", "direction", "before", "most meanwhile", "more", "after", "took"}, rows)
	r.bars(bars)
	return nil
}

// weighed is the memory that a transfer took.
type weighed struct {
	before, during, after memory
	took                  time.Duration
}

func (w weighed) more() int64 { return w.during.peak - w.before.now }

func (w weighed) row(server, direction string) []string {
	return []string{server, direction, megabytes(w.before.now), megabytes(w.during.peak), megabytes(w.more()),
		megabytes(w.after.now), w.took.Round(10 * time.Millisecond).String()}
}

// weigh makes a transfer through a fresh process, as one that has held a
// document before needs no more memory for the next.
func weigh(ctx context.Context, l *lab, p peer, upstream string, t transfer) (w weighed, err error) {
	ctx, cancel := context.WithTimeout(ctx, transferBound)
	defer cancel()
	s, err := p.start(ctx, l, job{upstream: upstream})
	if err != nil {
		return w, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	// One small request first: what every request needs is not the document's.
	if err := answersOK("http://" + s.address + depotSmall)(ctx); err != nil {
		return w, err
	}
	if err := resetPeak(s.pid); err != nil {
		return w, err
	}
	if w.before, err = memoryOf(s.pid); err != nil {
		return w, err
	}
	began := time.Now()
	if err := t.run(ctx, "http://"+s.address); err != nil {
		return w, err
	}
	w.took = time.Since(began)
	if w.during, err = memoryOf(s.pid); err != nil {
		return w, err
	}
	time.Sleep(time.Second)
	w.after, err = memoryOf(s.pid)
	return w, err
}

// upload sends a document and compares the digest that arrived.
func upload(ctx context.Context, base string) error {
	sent := sha256.New()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+depotUpload, io.TeeReader(newDocument(transferSize), sent))
	if err != nil {
		return err
	}
	req.ContentLength = transferSize
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	arrived, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if want := hex.EncodeToString(sent.Sum(nil)); res.StatusCode != http.StatusOK || string(arrived) != want {
		return fmt.Errorf("%s, arrived as %.100q, want %q", res.Status, arrived, want)
	}
	return nil
}

// download receives a document, slowly, and compares its digest.
func download(ctx context.Context, base string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+depotDownload, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	arrived, sent := sha256.New(), sha256.New()
	if _, err := io.Copy(arrived, slowly(res.Body)); err != nil {
		return err
	}
	_, _ = io.Copy(sent, newDocument(transferSize)) // neither can fail
	if got, want := hex.EncodeToString(arrived.Sum(nil)), hex.EncodeToString(sent.Sum(nil)); got != want {
		return fmt.Errorf("%s, arrived as %s, want %s", res.Status, got, want)
	}
	return nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1_000_000) }
