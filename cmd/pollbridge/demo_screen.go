package main

import (
	"io"
	"strings"
	"unicode/utf8"
)

// demoScreen draws the table in place: each frame goes out in one write and over
// the one before it, so that nothing flickers and nothing above it is lost.
type demoScreen struct {
	out    io.Writer
	size   func() (width, height int, err error)
	colour bool

	drawn  int // lines of the last frame, above the cursor
	hidden bool
}

// Sequences that every terminal of the last decades knows.
const (
	demoHideCursor  = "\x1b[?25l"
	demoShowCursor  = "\x1b[?25h"
	demoClearToEdge = "\x1b[K"
	demoClearBelow  = "\x1b[J"
	demoLineUp      = "\x1b[A"
)

func (s *demoScreen) show(f demoFigures) {
	width, height, err := s.size()
	if err != nil || width < 1 || height < 2 {
		width, height = 80, 24
	}
	lines := demoFrame(f)
	// One row stays free for the cursor. What is taller would scroll, and one
	// could not go back up to where it began.
	lines = lines[:min(len(lines), height-1)]
	var frame strings.Builder
	if !s.hidden {
		frame.WriteString(demoHideCursor)
		s.hidden = true
	}
	frame.WriteString("\r" + strings.Repeat(demoLineUp, s.drawn))
	for _, line := range lines {
		// A full last column would make some terminals wrap.
		frame.WriteString(line.paint(width-1, s.colour) + demoClearToEdge + "\r\n")
	}
	frame.WriteString(demoClearBelow)
	s.drawn = len(lines)
	io.WriteString(s.out, frame.String())
}

func (s *demoScreen) close() {
	if s.hidden {
		io.WriteString(s.out, demoShowCursor+"\n")
		s.hidden = false
	}
}

// paint returns the first width columns of a line.
func (l demoLine) paint(width int, colour bool) string {
	var painted strings.Builder
	for _, piece := range l {
		text := cutTo(piece.text, width)
		width -= utf8.RuneCountInString(text)
		if colour && piece.style != demoPlain && text != "" {
			text = "\x1b[" + string(piece.style) + "m" + text + "\x1b[0m"
		}
		painted.WriteString(text)
	}
	return painted.String()
}

func cutTo(text string, width int) string {
	if runes := []rune(text); len(runes) > width {
		return string(runes[:max(0, width)])
	}
	return text
}
