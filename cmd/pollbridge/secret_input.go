package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"pollbridge/internal/check"
)

const mostSecret = 64 << 10

// input is standard input, which only one flag can name: another one would find nothing.
type input struct {
	io.Reader
	taken string // the flag that has read it
}

// readSecret reads what a flag names: a file with one line, or - for standard input. The
// name is not repeated: somebody may have written the secret itself.
func readSecret(in *input, flag, path string) (string, error) {
	text, err := readInput(in, flag, path)
	if err != nil {
		return "", err
	}
	return secretLine(flag, text)
}

func readInput(in *input, flag, path string) (string, error) {
	var from io.Reader = in
	if path == "-" {
		if in.taken != "" {
			return "", check.Mistake{Key: flag, Problem: "is -, but " + in.taken + " has read standard input: want a file for one of them"}
		}
		in.taken = flag
	} else {
		file, err := os.Open(path)
		if err != nil {
			return "", check.Mistake{Key: flag, Problem: fmt.Sprintf("want the path of a file that can be read, or -, but: %v (the value is not shown)", check.Reason(err))}
		}
		defer file.Close()
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, mostSecret+1))
	if err == nil && len(text) > mostSecret {
		err = errors.New("it is too long")
	}
	if err != nil {
		return "", check.Mistake{Key: flag, Problem: fmt.Sprintf("cannot be read: %v", check.Reason(err))}
	}
	return string(text), nil
}

// secretLine is a secret without the end of its line. Mistakes do not show it.
func secretLine(source, text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", check.Mistake{Key: source, Problem: "want one line of visible ASCII characters (the value is not shown)"}
	}
	return text, nil
}

// readHeaders reads lines such as "Authorization: Bearer …", of which the values may be
// secrets.
func readHeaders(in *input, flag, path string) (map[string]string, error) {
	text, err := readInput(in, flag, path)
	if err != nil {
		return nil, err
	}
	headers := map[string]string{}
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, found := strings.Cut(line, ":")
		if !found {
			return nil, check.Mistake{Key: flag, Problem: fmt.Sprintf("line %d: want NAME: VALUE (the line is not shown)", i+1)}
		}
		headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return headers, nil
}
