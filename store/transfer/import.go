package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"pollbridge/store"
)

// File is a file that was exported, as far as it was read.
type File struct {
	Header
	r *reader
}

// Open reads what a file says of itself.
func Open(in io.Reader) (*File, error) {
	r, err := newReader(in)
	if err != nil {
		return nil, err
	}
	kind, content, err := r.frame()
	if err != nil {
		return nil, cut(err)
	}
	f := &File{r: r}
	if kind != frameHeader || json.Unmarshal(content, &f.Header) != nil || f.ID == "" {
		return nil, ErrDamaged
	}
	return f, nil
}

// visitor is told what is in a file.
type visitor struct {
	stream   func(store.MovedStream) error
	messages func([]store.Moved) error
	end      func(ending) error
}

// each reads the file to its end.
func (f *File) each(v visitor) error {
	var inStream bool
	var records, ofStream uint64
	for {
		kind, content, err := f.r.frame()
		if err != nil {
			return cut(err)
		}
		switch {
		case kind == frameStream && !inStream:
			var m store.MovedStream
			if json.Unmarshal(content, &m) != nil {
				return ErrDamaged
			}
			inStream, ofStream = true, 0
			err = v.stream(m)
		case kind == frameMessages && inStream:
			var some []store.Moved
			if some, err = readMoved(content); err == nil {
				ofStream += uint64(len(some))
				err = v.messages(some)
			}
		case kind == frameEnd && inStream, kind == frameClose && !inStream:
			var e ending
			if json.Unmarshal(content, &e) != nil {
				return ErrDamaged
			}
			if kind == frameClose {
				return f.close(e.Records == records)
			}
			if e.Records != ofStream {
				return ErrDamaged
			}
			inStream, records = false, records+ofStream
			err = v.end(e)
		default:
			return ErrDamaged
		}
		if err != nil {
			return err
		}
	}
}

// close finds out whether the file ends with its last frame.
func (f *File) close(complete bool) error {
	if !complete {
		return ErrDamaged
	}
	switch _, err := f.r.in.ReadByte(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%w: something follows its end", ErrDamaged)
}

// Check reads the file to its end, and finds out whether it is whole and encrypted with key.
func (f *File) Check(key store.Key) error {
	if err := f.CheckKey(key); err != nil {
		return err
	}
	opens := key.Opens()
	return f.each(visitor{
		stream: func(m store.MovedStream) error { return f.known(m.Name) },
		messages: func(some []store.Moved) error {
			for _, m := range some {
				if !opens(m.Data) {
					return f.otherKey(key)
				}
			}
			return nil
		},
		end: func(ending) error { return nil },
	})
}

// CheckKey finds out whether what the file says about its keys is encrypted with key.
func (f *File) CheckKey(key store.Key) error {
	if opens := key.Opens(); !opens(f.Keys.Check) || !opens(f.Keys.IDs) {
		return f.otherKey(key)
	}
	return nil
}

func (f *File) otherKey(key store.Key) error {
	return fmt.Errorf("%w than that in %s: %s", store.ErrOtherKey, key.Path(), f.KeyAdvice())
}

// KeyAdvice says where the key of the file is to be found.
func (f *File) KeyAdvice() string {
	return fmt.Sprintf("it was exported from %s, whose key lay in %s; name a copy of that file in store.encryption_key_file (all ids hang on the key, too; once it is imported the key can be changed)", f.From, f.KeyFile)
}

func (f *File) known(name string) error {
	if _, known := partOf(name); !known {
		return fmt.Errorf("the file holds something that this version does not know (%s): import it with the version that has written it (%s), or a later one", name, f.Program)
	}
	return nil
}

// Options is what an import needs besides the file and the store.
type Options struct {
	Key store.Key
	// Rename is what a key of a record is in this store.
	Rename func(stream, key string) string
	// Unused fails while somebody uses the store.
	Unused func(context.Context) error
	Tell   func(Progress)
}

// Import puts what is in the file into a store that holds nothing but, perhaps, what an earlier
// attempt has left: then it goes on. unreadable is how many records were left out, because they
// were damaged when they were exported. The store must have been opened for an import.
func (f *File) Import(ctx context.Context, s *store.Store, o Options) (records uint64, unreadable int, err error) {
	var streams []string
	for _, p := range parts {
		if p.stream != followers {
			streams = append(streams, p.stream)
		}
	}
	if err := o.Unused(ctx); err != nil {
		return 0, 0, err
	}
	into, err := s.BeginImport(ctx, f.ID, fmt.Sprintf("of %s, made %s", f.From, f.Made.Format("2006-01-02 15:04:05 MST")), f.Keys, streams)
	if err != nil {
		return 0, 0, err
	}
	var in *store.Incoming
	var done Progress
	err = f.each(visitor{
		stream: func(m store.MovedStream) error {
			if err := errors.Join(f.known(m.Name), o.Unused(ctx)); err != nil {
				return err
			}
			p, _ := partOf(m.Name)
			done = Progress{Part: p.label, Of: m.About}
			in, err = into.Stream(ctx, m, func(key string) string { return o.Rename(m.Name, key) })
			return err
		},
		messages: func(some []store.Moved) error {
			done.add(some)
			o.Tell(done)
			err := in.Put(ctx, some)
			if errors.Is(err, store.ErrOtherKey) {
				return f.otherKey(o.Key)
			}
			return err
		},
		end: func(e ending) error {
			done.Over = true
			o.Tell(done)
			records += done.Records
			return in.End(ctx, e.Last)
		},
	})
	if err == nil {
		err = o.Unused(ctx)
	}
	if err != nil {
		return records, into.Unreadable, errors.Join(err, into.Leave(context.WithoutCancel(ctx)))
	}
	return records, into.Unreadable, into.End(ctx)
}
