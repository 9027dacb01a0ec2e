package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// The bare servers show what answering costs before anything is decided: they
// read the request's body, look path and body up in a map and write the value.
// Each runs in a process of its own, which is this program again, so that its
// CPU time can be told from the load's.

// bareCommand makes this program a bare server:
// bench serve-bare fasthttp|fiber ADDRESS SESSIONS ANSWERFILE.
const bareCommand = "serve-bare"

func isBareServer(args []string) bool { return len(args) > 1 && args[1] == bareCommand }

// startBare returns the start function of a bare server.
func startBare(kind string) func(context.Context, *lab, job) (*server, error) {
	return func(ctx context.Context, l *lab, j job) (*server, error) {
		dir, err := l.folder("bare-" + kind)
		if err != nil {
			return nil, err
		}
		answer := filepath.Join(dir, "answer")
		if err := os.WriteFile(answer, j.answer, 0o600); err != nil {
			return nil, err
		}
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		argv := []string{self, bareCommand, kind, address, strconv.Itoa(j.sessions), answer}
		p, err := l.start("bare "+kind, dir, argv, os.Environ())
		if err != nil {
			return nil, err
		}
		return &server{process: p, address: address}, waitUntil(ctx, p, accepts(address))
	}
}

// runBareServer is the main function of a bare server.
func runBareServer(args []string) error {
	if len(args) != 4 {
		return flag.ErrHelp
	}
	sessions, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	answer, err := os.ReadFile(args[3])
	if err != nil {
		return err
	}
	answers := make(map[string][]byte, sessions)
	for n := range sessions {
		answers[statusPath(n)+statusBody] = answer
	}
	switch kind, address := args[0], args[1]; kind {
	case "fasthttp":
		return serveBareFasthttp(address, answers)
	case "fiber":
		return serveBareFiber(address, answers)
	default:
		return fmt.Errorf("%s: unknown kind", kind)
	}
}

// sameFields are header fields as pollbridge answers with, so that the bare servers
// write the same bytes: fields of the upstream's answer and of its own.
var sameFields = [][2]string{
	{"Content-Type", "application/json"},
	{"Server", "upstream"},
	{"X-Content-Type-Options", "nosniff"},
	{"Strict-Transport-Security", "max-age=31536000"},
	{"X-Request-Id", "00000000000000000000000000000000"},
	{"Cache-Status", "pollbridge; hit; ttl=0"},
	{"Age", "0"},
}

func serveBareFasthttp(address string, answers map[string][]byte) error {
	return fasthttp.ListenAndServe(address, func(c *fasthttp.RequestCtx) {
		var room [256]byte
		key := append(append(room[:0], c.Path()...), c.PostBody()...)
		answer, ok := answers[string(key)]
		if !ok {
			c.SetStatusCode(fasthttp.StatusNotFound)
			return
		}
		for _, field := range sameFields {
			c.Response.Header.Set(field[0], field[1])
		}
		c.Response.SetBodyRaw(answer)
	})
}

var errUnknownSession = errors.New("unknown session")

func serveBareFiber(address string, answers map[string][]byte) error {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Post(statusPrefix+":token"+statusSuffix, func(c *fiber.Ctx) error {
		var room [256]byte
		key := append(append(room[:0], c.Path()...), c.Body()...)
		answer, ok := answers[string(key)]
		if !ok {
			return errUnknownSession
		}
		for _, field := range sameFields {
			c.Set(field[0], field[1])
		}
		return c.Send(answer)
	})
	return app.Listen(address)
}
