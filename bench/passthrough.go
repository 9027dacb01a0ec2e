package main

import (
	"context"
	"errors"
	"fmt"
)

// runPassThrough measures what pollbridge does with requests that are not its
// business: small ones by their CPU, large ones by their memory.
func runPassThrough(ctx context.Context, l *lab, r *report) error {
	if len(proxies(l)) == 0 {
		r.line("passthrough: left out, there is neither nginx nor pollbridge")
		return nil
	}
	if err := runSmall(ctx, l, r); err != nil {
		return err
	}
	return runTransfers(ctx, l, r)
}

// runSmall sends small requests through each proxy.
func runSmall(ctx context.Context, l *lab, r *report) (err error) {
	if l.wrk == "" {
		r.line("passthrough: small requests left out, they need wrk")
		return nil
	}
	w, err := l.getLoad(smallPath)
	if err != nil {
		return err
	}
	servers, stop, err := startAll(ctx, l, proxies(l), job{}, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	for _, s := range servers {
		if err := answersOK("http://" + s.address + smallPath)(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.peer.name, err)
		}
	}
	all, err := rounds(ctx, l, servers, w)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, one := range all {
		rows = append(rows, []string{
			one.name,
			spreadOf(one.values(sample.cpuPer100k)).text(2),
			spreadOf(one.values(sample.allCPUPer100k)).text(2),
			spreadOf(one.values(sample.perSecond)).text(0),
			spreadOf(one.values(sample.p99Milliseconds)).text(1),
			fmt.Sprint(one.failed()),
		})
	}
	title := fmt.Sprintf("passthrough: a GET answered with %d bytes", len(smallAnswer))
	r.table(title, []string{"server", "CPU s per 100,000", "with the load's", "requests/s", "p99 ms", "failed"}, rows)
	r.bars(judge(all, []bar{cpuAtMost(1.3, nginx)}))
	return nil
}
