package transfer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
	"time"

	"pollbridge/store"
)

const (
	name   = "pollbridge export "
	format = 1 // of the file; a later one is refused
)

// Header is what a file says of itself.
type Header struct {
	ID      string     `json:"id"` // another one for each export
	Made    time.Time  `json:"made"`
	Program string     `json:"program"`  // its version
	From    string     `json:"from"`     // where it was stored
	KeyFile string     `json:"key_file"` // where its key lay
	Keys    store.Keys `json:"keys"`
}

// What is in a frame.
const (
	frameHeader   = 'h' // Header
	frameStream   = 's' // store.MovedStream
	frameMessages = 'm'
	frameEnd      = 'e' // of a stream: ending
	frameClose    = 'z' // of the file: ending
)

// ending says what came before it.
type ending struct {
	Records uint64 `json:"records"`
	Last    uint64 `json:"last,omitempty"`
}

const (
	sumSize   = 8
	mostFrame = 32 << 20 // much more than a batch of messages
)

// Errors of a file, each with what it means.
var (
	ErrForeign = errors.New("this is no export of pollbridge")
	ErrCut     = errors.New("the file ends early: a part of it is missing")
	ErrDamaged = errors.New("the file is damaged: a checksum is wrong")
)

// writer writes frames.
type writer struct {
	out *bufio.Writer
	sum hash.Hash
}

func newWriter(out io.Writer) (*writer, error) {
	w := &writer{bufio.NewWriterSize(out, 1<<20), sha256.New()}
	return w, w.write([]byte(name + strconv.Itoa(format) + "\n"))
}

func (w *writer) write(p []byte) error {
	w.sum.Write(p)
	_, err := w.out.Write(p)
	return err
}

func (w *writer) frame(kind byte, content []byte) error {
	if err := w.write(binary.AppendUvarint([]byte{kind}, uint64(len(content)))); err != nil {
		return err
	}
	if err := w.write(content); err != nil {
		return err
	}
	_, err := w.out.Write(w.sum.Sum(nil)[:sumSize])
	return err
}

func (w *writer) json(kind byte, v any) error {
	content, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.frame(kind, content)
}

func (w *writer) messages(some []store.Moved) error {
	var content []byte
	for _, m := range some {
		content = appendMoved(content, m)
	}
	return w.frame(frameMessages, content)
}

// reader reads frames.
type reader struct {
	in  *bufio.Reader
	sum hash.Hash
}

// newReader reads the first line.
func newReader(in io.Reader) (*reader, error) {
	r := &reader{bufio.NewReaderSize(in, 1<<20), sha256.New()}
	start := make([]byte, len(name))
	if _, err := io.ReadFull(r.in, start); err != nil || string(start) != name {
		return nil, foreign(err)
	}
	line, err := r.in.ReadSlice('\n')
	number, wrong := strconv.Atoi(strings.TrimSuffix(string(line), "\n"))
	switch {
	case err != nil || wrong != nil:
		return nil, foreign(err)
	case number > format:
		return nil, fmt.Errorf("the file has format %d, and this version of pollbridge reads up to %d: import it with the version that has written it, or a later one", number, format)
	}
	r.sum.Write(start)
	r.sum.Write(line)
	return r, nil
}

func foreign(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, bufio.ErrBufferFull) {
		return ErrForeign
	}
	return err
}

// frame returns the next frame. After the last one the error is io.EOF.
func (r *reader) frame() (kind byte, content []byte, err error) {
	if kind, err = r.in.ReadByte(); err != nil {
		return 0, nil, err
	}
	size, err := binary.ReadUvarint(r.in)
	if err != nil {
		return 0, nil, cut(err)
	}
	if size > mostFrame {
		return 0, nil, ErrDamaged
	}
	content = make([]byte, size)
	if _, err := io.ReadFull(r.in, content); err != nil {
		return 0, nil, cut(err)
	}
	var sum [sumSize]byte
	if _, err := io.ReadFull(r.in, sum[:]); err != nil {
		return 0, nil, cut(err)
	}
	r.sum.Write(binary.AppendUvarint([]byte{kind}, size))
	r.sum.Write(content)
	if !bytes.Equal(sum[:], r.sum.Sum(nil)[:sumSize]) {
		return 0, nil, ErrDamaged
	}
	return kind, content, nil
}

func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrCut
	}
	return err
}

// A message is a row of fields, each after its length.
func appendMoved(dst []byte, m store.Moved) []byte {
	dst = appendField(dst, []byte(m.Key))
	dst = binary.AppendUvarint(dst, m.Sequence)
	dst = binary.AppendVarint(dst, m.At.UnixNano())
	expires := int64(0)
	if !m.Expires.IsZero() {
		expires = m.Expires.UnixNano()
	}
	dst = binary.AppendVarint(dst, expires)
	dst = appendField(dst, []byte(m.Schedule))
	dst = appendField(dst, []byte(m.Target))
	return appendField(dst, m.Data)
}

func appendField(dst, field []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(field))), field...)
}

// readMoved reads what messages wrote. The messages share the memory of content.
func readMoved(content []byte) (some []store.Moved, err error) {
	in := bytes.NewReader(content)
	for in.Len() > 0 && err == nil {
		field := func() []byte {
			size, wrong := binary.ReadUvarint(in)
			if wrong != nil || size > uint64(in.Len()) {
				err = ErrDamaged
				return nil
			}
			from := len(content) - in.Len()
			in.Seek(int64(size), io.SeekCurrent)
			return content[from : from+int(size)]
		}
		varint := func() int64 {
			value, wrong := binary.ReadVarint(in)
			if wrong != nil {
				err = ErrDamaged
			}
			return value
		}
		var m store.Moved
		m.Key = string(field())
		sequence, wrong := binary.ReadUvarint(in)
		if wrong != nil {
			err = ErrDamaged
		}
		m.Sequence, m.At = sequence, time.Unix(0, varint())
		if expires := varint(); expires != 0 {
			m.Expires = time.Unix(0, expires)
		}
		m.Schedule, m.Target = string(field()), string(field())
		m.Data = field()
		some = append(some, m)
	}
	return some, err
}
