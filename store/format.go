package store

import (
	"context"
	"encoding/json"
	"fmt"
)

// Format is the number of the form in which this version stores everything: records, subjects and
// what they hold. A version that stores what this one cannot read has a higher one. It reads the
// one before as well, and, where replicas of both share a store, writes that until all of them
// know its own, see docs/fleet.md.
const Format = 1

const formatRecord = "format" // of what is stored

type formatIs struct {
	Format int `json:"format"`
}

// checkFormat refuses what a later version has stored, before anything is written there.
func (s *Store) checkFormat(ctx context.Context) error {
	own := JSON(formatIs{Format})
	record, err := s.ownRecord(ctx, formatRecord, own)
	damaged := s.isUnreadable(err)
	if err != nil && !damaged {
		return err // a server may fail to answer for a moment
	}
	var stored formatIs
	if damaged || json.Unmarshal(record.Value, &stored) != nil {
		s.log.Error("data is damaged: its format cannot be read; it is taken for that of this version", "format", Format)
	}
	if stored.Format < Format && !s.shared {
		_, err := s.own.Put(ctx, formatRecord, own, 0)
		return err
	}
	if stored.Format > Format {
		return fmt.Errorf("store: what is stored has format %d, which a later version of pollbridge has written, and this one knows no more than %d: use that version, or a backup from before it", stored.Format, Format)
	}
	return nil
}
