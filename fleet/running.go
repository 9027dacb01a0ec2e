package fleet

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"pollbridge/store"
)

// Running returns the names of the replicas that are there, or were half a minute ago and have not
// said that they are gone.
func Running(ctx context.Context, s *store.Store) ([]string, error) {
	bucket, err := s.Bucket(ctx, store.BucketConfig{Name: bucketName})
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var names []string
	err = bucket.Each(ctx, func(some []store.Record) {
		mu.Lock()
		defer mu.Unlock()
		for _, record := range some {
			var r replicaRecord
			if json.Unmarshal(record.Value, &r) == nil {
				names = append(names, r.Name)
			}
		}
	}, replicaKey+"*")
	slices.Sort(names)
	return names, err
}
