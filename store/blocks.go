package store

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/minio/highwayhash"
	"golang.org/x/sync/errgroup"
)

// How the engine writes a record into a block: a head, the subject, the rest, and a
// checksum of all but the length.
const (
	recordHead     = 22 // length, sequence, time, length of the subject
	recordSum      = 8
	recordMost     = 32 << 20
	largeRecord    = 64 << 10
	recordStart    = 4 << 10 // subject and headers are no longer
	recordHeaders  = 1 << 31 // in the length: the message has headers
	recordTomb     = 1 << 62 // in the sequence: a message is gone
	recordErased   = 1 << 63 // in the sequence: this one is
	indexName      = "index.db"
	blockPattern   = "*.blk"
	streamsPattern = "jetstream/*/streams/*"
)

// checkBlocks looks for what makes the engine run away, or forget without a word.
// Where it has an index of a stream's blocks it believes the sequences it reads there,
// and counts up to them: with one flipped bit until the memory is full. It looks at the
// checksum of a record only afterwards. Where the index is not of these blocks, as
// after a crash, the engine reads them anew, looks at the checksums first, and drops
// what follows a damaged record: then this is only to log it.
//
// A record that is damaged inside is logged, too: the engine leaves it out. With an
// index, the values in large records are not read.
func checkBlocks(dir string, log *slog.Logger) error {
	streams, err := glob(dir, streamsPattern)
	if err != nil {
		return err
	}
	var checks errgroup.Group // all that is stored is read, and everything else waits for it
	checks.SetLimit(runtime.GOMAXPROCS(0))
	for _, stream := range streams {
		blocks, err := glob(filepath.Join(stream, "msgs"), blockPattern)
		if err != nil {
			return errors.Join(err, checks.Wait())
		}
		slices.SortFunc(blocks, func(a, b string) int { return cmp.Compare(blockNumber(a), blockNumber(b)) })
		believed := indexed(filepath.Join(stream, "msgs", indexName), blocks)
		for i, block := range blocks {
			newest := i == len(blocks)-1
			checks.Go(func() error { return judgeBlock(filepath.Base(stream), block, newest, believed, log) })
		}
	}
	return checks.Wait()
}

// judgeBlock checks a block and says what to do if it is damaged: in the log if the
// engine can go on with what is left.
func judgeBlock(stream, block string, newest, believed bool, log *slog.Logger) error {
	at, err := checkBlock(stream, block, believed, log)
	switch {
	case errors.Is(err, errCutOff) && !believed && newest && isLastRecord(stream, block, at):
		log.Info("dropped an incomplete record at the end of a data file: it was being written when the process stopped", "file", block)
		return nil
	case errors.Is(err, ErrDamaged) && !believed:
		log.Error("data file is damaged: what follows in it is lost, restore the data directory from a backup", "file", block, "offset", at)
		return nil
	case errors.Is(err, ErrDamaged):
		return fmt.Errorf("%w: %s is damaged at byte %d: restore the data directory from a backup (without one: remove %s beside it, and what follows that byte in that file is lost)",
			ErrDamaged, block, at, indexName)
	case err != nil:
		return fmt.Errorf("check %s: %w", block, err)
	}
	return nil
}

// glob takes dir for what it is, whatever characters it has.
func glob(dir, pattern string) ([]string, error) {
	paths, err := fs.Glob(os.DirFS(dir), pattern)
	for i, path := range paths {
		paths[i] = filepath.Join(dir, path)
	}
	return paths, err
}

// indexed reports whether the index was written when the last of the blocks ended as it
// does now. It holds that end before its own checksum.
func indexed(index string, blocks []string) bool {
	content, err := os.ReadFile(index)
	if err != nil || len(content) < 2*recordSum || len(blocks) == 0 {
		return false
	}
	end, err := tail(blocks[len(blocks)-1])
	return err == nil && bytes.Equal(end, content[len(content)-2*recordSum:len(content)-recordSum])
}

func blockNumber(path string) (number uint32) {
	fmt.Sscanf(filepath.Base(path), "%d.blk", &number) // the first is 1
	return number
}

// tail returns how a block ends; it is zeros where there is nothing.
func tail(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	end := make([]byte, recordSum)
	info, err := file.Stat()
	if err != nil || info.Size() < recordSum {
		return end, err
	}
	_, err = file.ReadAt(end, info.Size()-recordSum)
	return end, err
}

// checkBlock reads a block's records; with an index, of large ones that follow the one
// before them the head only. It returns where what follows cannot be believed.
func checkBlock(stream, path string, believed bool, log *slog.Logger) (at int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	sums, err := checksums(stream, blockNumber(path))
	if err != nil {
		return 0, err
	}
	reader := bufio.NewReaderSize(file, largeRecord)
	var last uint64
	var record []byte
	for head := [recordHead]byte{}; ; {
		if _, err := io.ReadFull(reader, head[:]); err != nil {
			if errors.Is(err, io.EOF) { // after a whole record
				return at, nil
			}
			return at, cutOff(err)
		}
		size := int64(binary.LittleEndian.Uint32(head[:]) &^ recordHeaders)
		switch {
		case size < recordHead+recordSum, size > recordMost:
			return at, ErrDamaged
		case size > info.Size()-at:
			return at, errCutOff
		}
		sequence := binary.LittleEndian.Uint64(head[4:])
		tomb := sequence&recordTomb != 0
		sequence &^= recordTomb | recordErased
		ahead := !tomb && sequence > last+1
		lost := false
		if believed && !ahead && size > largeRecord {
			start, _ := reader.Peek(recordStart) // skip fails if this does
			lost = !divided(head[:], start)
			if err := skip(file, reader, size-recordHead); err != nil {
				return at, cutOff(err)
			}
		} else {
			record = slices.Grow(record[:0], int(size))[:size-recordHead]
			if _, err := io.ReadFull(reader, record); err != nil {
				return at, cutOff(err)
			}
			content, want := record[:len(record)-recordSum], record[len(record)-recordSum:]
			sound := intact(sums, head[:], content, want)
			if !sound && (ahead || !believed) {
				return at, ErrDamaged
			}
			lost = !sound || !divided(head[:], content)
		}
		if lost {
			log.Error("data file is damaged: one record is lost, restore the data directory from a backup", "file", path, "offset", at)
		}
		if !tomb {
			last = max(last, sequence)
		}
		at += size
	}
}

var errCutOff = fmt.Errorf("%w: a record is cut off", ErrDamaged)

// cutOff says that a record which is cut off is damaged.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCutOff
	}
	return err
}

// isLastRecord reports whether no other record follows one that is cut off, as when the
// process was killed while it wrote that: else its length is wrong. In each record the
// subject, which begins with the stream's name, is in clear behind its length.
func isLastRecord(stream, path string, at int64) bool {
	content, err := os.ReadFile(path)
	if err != nil || at > int64(len(content)) {
		return false
	}
	parts := bytes.Split(content[at:], []byte(stream+"."))
	subjects := 0
	for _, before := range parts[:len(parts)-1] {
		if n := len(before); n >= 2 && binary.LittleEndian.Uint16(before[n-2:]) < recordStart {
			subjects++
		}
	}
	return subjects <= 1
}

// skip passes n bytes, and does not read them if they are many.
func skip(file *os.File, reader *bufio.Reader, n int64) error {
	if buffered := int64(reader.Buffered()); n > buffered+int64(reader.Size()) {
		_, err := file.Seek(n-buffered, io.SeekCurrent)
		reader.Reset(file)
		return err
	}
	_, err := reader.Discard(int(n))
	return err
}

// checksums returns what makes the checksums of a block's records.
func checksums(stream string, block uint32) (hash.Hash64, error) {
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", stream, block))
	return highwayhash.New64(key[:])
}

// intact reports whether a record has the checksum that it should have.
func intact(sum hash.Hash64, head, content, want []byte) bool {
	subject := subjectLength(head)
	rest := subject
	if hasHeaders(head) {
		rest += 4 // the length of the headers is left out
	}
	if rest > len(content) {
		return false
	}
	sum.Reset()
	sum.Write(head[4:20])
	sum.Write(content[:subject])
	sum.Write(content[rest:])
	return bytes.Equal(sum.Sum(make([]byte, 0, recordSum)), want)
}

// divided reports whether a record, of which it needs the start, is divided into subject,
// headers and value as it was. The checksum does not tell: it is that of all together.
// No subject has the byte that a value begins with, and an empty line ends headers.
func divided(head, content []byte) bool {
	const emptyLine = "\r\n\r\n"
	subject := subjectLength(head)
	switch {
	case binary.LittleEndian.Uint64(head[4:])&recordErased != 0:
		return true
	case !hasHeaders(head):
		value := bytes.IndexByte(content, sealVersion)
		return subject == value || value < 0 && subject == len(content)
	case subject+4 > len(content):
		return false
	}
	size, headers := binary.LittleEndian.Uint32(content[subject:]), content[subject+4:]
	return int64(size) == int64(bytes.Index(headers, []byte(emptyLine))+len(emptyLine))
}

func subjectLength(head []byte) int { return int(binary.LittleEndian.Uint16(head[20:])) }

func hasHeaders(head []byte) bool { return binary.LittleEndian.Uint32(head)&recordHeaders != 0 }
