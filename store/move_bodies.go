package store

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
)

// Servers may take less at a time than those that a body comes from: then it becomes more chunks
// there. Of a body in chunks these come first, each with a number, and then the message that tells
// of them.

// fitting are the messages that a message becomes here.
func (in *Incoming) fitting(m Moved, value []byte) ([]*nats.Msg, error) {
	a, err := readAddress(in.subject(m.Key))
	switch {
	case in.id != bodiesID || err != nil:
		return in.one(m, m.Key, m.Data)
	case strings.HasPrefix(m.Key, "chunk."):
		return in.chunks(m, a, value)
	case a.upload != whole || len(value) <= in.s.largest:
		delete(in.numbers, a.upload) // its chunks have come
		return in.one(m, m.Key, m.Data)
	}
	size, n := binary.Uvarint(value) // of the head
	if n <= 0 || size > uint64(len(value)-n) {
		in.i.Unreadable++
		return nil, nil
	}
	head, body := value[:n+int(size)], value[n+int(size):]
	name := sha256.Sum256([]byte(m.Key))
	a.upload = idEncoding.EncodeToString(name[:])[:uploadLength]
	messages, err := in.chunks(m, a, body)
	if err != nil || messages == nil {
		return nil, err
	}
	delete(in.numbers, a.upload)
	key := in.keyOf(a.subject())
	value = append(binary.AppendUvarint(nil, uint64(len(body))), head...)
	last, err := in.one(m, key, in.s.keys.encrypt(placeIn(in.id, key), value))
	return append(messages, last...), err
}

// keyOf is the inverse of subject.
func (in *Incoming) keyOf(subject string) string { return strings.TrimPrefix(subject, in.id+".") }

// chunks are those that a chunk becomes, or a body that was in one piece.
func (in *Incoming) chunks(m Moved, a address, value []byte) (messages []*nats.Msg, err error) {
	if in.numbers == nil {
		in.numbers = map[string]int{}
	}
	for part := range slices.Chunk(value, in.s.largest) {
		key := in.keyOf(a.chunk(strconv.Itoa(in.numbers[a.upload])))
		in.numbers[a.upload]++
		data := m.Data
		if key != m.Key || len(part) < len(value) {
			data = in.s.keys.encrypt(placeIn(in.id, key), part)
		}
		message, err := in.one(m, key, data)
		if err != nil {
			return nil, err
		}
		messages = append(messages, message...)
	}
	return messages, nil
}
