package store

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// indexName is the engine's index of the records of a stream. With one, the engine reads
// no checksums when it starts, and where records were damaged since, it may count up to
// what it takes for a sequence until the memory is full. Without one it reads all records,
// and cuts a file off at the first one that is damaged, without a word.
const indexName = "index.db"

// storedFile is a file of a stream as it was before the engine was started.
type storedFile struct {
	path    string
	size    int64
	written time.Time
}

// storedFiles returns the files in a directory, which need not be there.
func storedFiles(dir string) (files []storedFile, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			files = append(files, storedFile{path, info.Size(), info.ModTime()})
		}
		return err
	})
	if os.IsNotExist(err) {
		err = nil
	}
	return files, err
}

// removeIndexes has the engine read everything when it starts next. It returns the other
// files of each stream.
func removeIndexes(dir string) (map[string][]storedFile, error) {
	all, err := storedFiles(dir)
	files := map[string][]storedFile{}
	for _, file := range all {
		if filepath.Base(file.path) == indexName {
			err = errors.Join(err, os.Remove(file.path))
			continue
		}
		stream := filepath.Base(filepath.Dir(filepath.Dir(file.path)))
		files[stream] = append(files[stream], file)
	}
	return files, err
}

// lastsKey is where in the table of the store itself it stands how far streams went.
const lastsKey = "trial"

// noteLasts writes how far each stream goes, which tells after the next start whether
// something is missing.
func (s *Store) noteLasts(ctx context.Context) error {
	lasts := map[string]uint64{}
	streams := s.js.ListStreams(ctx)
	for info := range streams.Info() {
		lasts[info.Config.Name] = info.State.LastSeq
	}
	if err := streams.Err(); err != nil {
		return err
	}
	value, _ := json.Marshal(lasts)
	_, err := s.own.Put(ctx, lastsKey, value, 0)
	return err
}

// readLasts reads what was noted. That may be what was lost, so it is no error if there
// is nothing.
func (s *Store) readLasts(ctx context.Context) {
	if record, err := s.own.Get(ctx, lastsKey); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		json.Unmarshal(record.Value, &s.lasts) // earlier versions wrote nothing
	}
}

// tellLoss logs, once, what a stream has lost since the engine was started. A process that
// was killed leaves an incomplete record at the end of what it wrote last.
func (s *Store) tellLoss(ctx context.Context, name string, stream jetstream.Stream) {
	s.mu.Lock()
	files, last, unclean := s.files[name], s.lasts[name], s.unclean
	delete(s.files, name)
	delete(s.lasts, name)
	s.mu.Unlock()
	log := s.log.With("stream", name)
	missing := int64(last) - int64(stream.CachedInfo().State.LastSeq)
	if missing > 0 {
		log.Error("data is damaged: the newest records are lost, restore the data directory from a backup", "records", missing)
	}
	if !slices.ContainsFunc(files, storedFile.isCut) {
		return
	}
	info, err := stream.Info(ctx, jetstream.WithDeletedDetails(true))
	if err != nil {
		log.Error("data may be damaged: a data file is shorter than it was", "error", err)
		return
	}
	if info.State.Lost == nil {
		return // what was erased, or is over, may go
	}
	newest := slices.MaxFunc(files, func(a, b storedFile) int { return a.written.Compare(b.written) })
	if unclean && missing <= 0 && newest.isCut() {
		log.Info("dropped an incomplete record at the end of a data file: it was being written when the process stopped", "bytes", info.State.Lost.Bytes)
		return
	}
	log.Error("data is damaged: records are lost, restore the data directory from a backup", "bytes", info.State.Lost.Bytes)
}

// isCut reports whether a file is shorter now, or gone.
func (f storedFile) isCut() bool {
	info, err := os.Stat(f.path)
	return err != nil || info.Size() < f.size
}
