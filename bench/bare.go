package main

import (
	"errors"
	"flag"
	"os"
	"strconv"

	"github.com/gofiber/fiber/v2"
)

// bareCommand makes this program the bare server, in a process of its own, so
// that its CPU time can be told from the load's:
//
//	bench serve-bare ADDRESS SESSIONS ANSWERFILE
const bareCommand = "serve-bare"

// answerFields are the header fields that pollbridge answers a hit with, so that
// the bare server writes the same bytes: the upstream's, and its own.
var answerFields = [][2]string{
	{"Content-Type", "application/json"},
	{"Server", "upstream"},
	{"X-Content-Type-Options", "nosniff"},
	{"Strict-Transport-Security", "max-age=31536000"},
	{"Cache-Control", "no-store"},
	{"X-Request-Id", "00000000000000000000000000000000"},
	{"Cache-Status", "pollbridge; hit; ttl=0"},
	{"Age", "0"},
}

var errUnknownSession = errors.New("unknown session")

// serveBareFiber shows what answering costs before anything is decided: it reads
// the request's body, looks path and body up in a map and writes the value.
func serveBareFiber(args []string) error {
	if len(args) != 3 {
		return flag.ErrHelp
	}
	sessions, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	answer, err := os.ReadFile(args[2])
	if err != nil {
		return err
	}
	answers := make(map[string][]byte, sessions)
	for session := range sessions {
		answers[statusPath(session)+statusBody] = answer
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Post(statusPrefix+":token"+statusSuffix, func(c *fiber.Ctx) error {
		var buffer [256]byte
		key := append(append(buffer[:0], c.Path()...), c.Body()...)
		answer, ok := answers[string(key)]
		if !ok {
			return errUnknownSession
		}
		for _, field := range answerFields {
			c.Set(field[0], field[1])
		}
		return c.Send(answer)
	})
	return app.Listen(args[0])
}
