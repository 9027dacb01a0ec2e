package engine

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// indexName is the server's index of the records of a stream. With one, the server reads
// no checksums when it starts, and where records were damaged since, it may count up to
// what it takes for a sequence until the memory is full. Without one it reads all records,
// and cuts a file off at the first one that is damaged, without a word.
const indexName = "index.db"

// storedFile is a file of a stream as it was before the server was started.
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

// removeIndexes has the server read everything when it starts next. It returns the other
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

// The engine's own stream, to which trial writes go.
const (
	ownStream    = "ENGINE"
	lastsSubject = ownStream + ".lasts"
)

func (e *Engine) openOwn(ctx context.Context) (err error) {
	e.own, err = e.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: ownStream, Subjects: []string{ownStream + ".>"}, Storage: jetstream.FileStorage, MaxMsgsPerSubject: 1, AllowDirect: true,
	})
	return err
}

// noteLasts writes how far each stream goes, which tells after the next start whether
// something is missing.
func (e *Engine) noteLasts(ctx context.Context) error {
	lasts := map[string]uint64{}
	streams := e.js.ListStreams(ctx)
	for info := range streams.Info() {
		lasts[info.Config.Name] = info.State.LastSeq
	}
	if err := streams.Err(); err != nil {
		return err
	}
	value, _ := json.Marshal(lasts)
	_, err := e.js.Publish(ctx, lastsSubject, value)
	return err
}

// readLasts reads what was noted. That may be what was lost, so it is no error if there
// is nothing.
func (e *Engine) readLasts(ctx context.Context) (lasts map[string]uint64) {
	if m, err := e.own.GetLastMsgForSubject(ctx, lastsSubject); err == nil {
		json.Unmarshal(m.Data, &lasts)
	}
	return lasts
}

// tellLosses logs what the streams have lost since the server was started on files.
func (e *Engine) tellLosses(ctx context.Context, files map[string][]storedFile) {
	lasts := e.readLasts(ctx)
	streams := e.js.ListStreams(ctx)
	for info := range streams.Info() {
		name := info.Config.Name
		e.tellLoss(ctx, info, files[name], lasts[name])
		delete(lasts, name)
	}
	if err := streams.Err(); err != nil {
		e.log.Error("cannot find out whether data is lost", "error", err)
		return
	}
	for name, last := range lasts {
		e.log.Error("data is damaged: a stream is lost, restore the data directory from a backup", "stream", name, "sequence", last)
	}
}

// tellLoss logs what a stream has lost. A process that was killed leaves an incomplete
// record at the end of what it wrote last.
func (e *Engine) tellLoss(ctx context.Context, info *jetstream.StreamInfo, files []storedFile, last uint64) {
	log := e.log.With("stream", info.Config.Name)
	missing := int64(last) - int64(info.State.LastSeq)
	if missing > 0 {
		log.Error("data is damaged: the newest records are lost, restore the data directory from a backup", "records", missing)
	}
	if !slices.ContainsFunc(files, storedFile.isCut) {
		return
	}
	lost, err := e.lost(ctx, info.Config.Name)
	if err != nil {
		log.Error("data may be damaged: a data file is shorter than it was", "error", err)
		return
	}
	if lost == nil {
		return // what was erased, or is over, may go
	}
	newest := slices.MaxFunc(files, func(a, b storedFile) int { return a.written.Compare(b.written) })
	if e.unclean && missing <= 0 && newest.isCut() {
		log.Info("dropped an incomplete record at the end of a data file: it was being written when the process stopped", slog.Uint64("bytes", lost.Bytes))
		return
	}
	log.Error("data is damaged: records are lost, restore the data directory from a backup", slog.Uint64("bytes", lost.Bytes))
}

func (e *Engine) lost(ctx context.Context, name string) (*jetstream.LostStreamData, error) {
	stream, err := e.js.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	info, err := stream.Info(ctx, jetstream.WithDeletedDetails(true))
	if err != nil {
		return nil, err
	}
	return info.State.Lost, nil
}

// isCut reports whether a file is shorter now, or gone.
func (f storedFile) isCut() bool {
	info, err := os.Stat(f.path)
	return err != nil || info.Size() < f.size
}
