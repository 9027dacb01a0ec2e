// Command local runs a fleet on this machine, to try one: three NATS servers and three replicas,
// each a process, and a load balancer in front of the replicas. In a checkout:
//
//	go run ./deploy/local --upstream https://signing.example.com
//
// All of it ends with the command. What is stored stays in its directory.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "local:", err)
		os.Exit(1)
	}
}

// run returns when ctx has ended and nothing runs any more.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("local", flag.ContinueOnError)
	upstream := flags.String("upstream", "", "`URL` of the signing API")
	listen := flags.String("listen", "127.0.0.1:8080", "`ADDRESS` of the load balancer for the API")
	adminListen := flags.String("admin-listen", "127.0.0.1:8090", "`ADDRESS` of the load balancer for the management API")
	dir := flags.String("dir", "data/fleet", "`DIRECTORY` of what is stored, keys and logs")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *upstream == "" || flags.NArg() > 0 {
		return errors.New("want --upstream URL, the address of the signing API, and nothing but flags")
	}
	public, err := net.Listen("tcp", *listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	defer public.Close()
	private, err := net.Listen("tcp", *adminListen)
	if err != nil {
		return fmt.Errorf("--admin-listen: %w", err)
	}
	defer private.Close()
	f := &fleet{dir: *dir, upstream: *upstream, out: out}
	defer f.stop()
	if err := f.start(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return nil
	}
	go balance(public, f.public) // until it is closed
	go balance(private, f.private)
	fmt.Fprintf(out, "all three     http://%s, management http://%s, its key in %s. Ctrl-C ends it.\n", public.Addr(), private.Addr(), filepath.Join(*dir, "admin.key"))
	<-ctx.Done()
	return nil
}
