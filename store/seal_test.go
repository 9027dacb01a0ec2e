package store_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"sync"
	"testing"

	"pollbridge/internal/testkit"
	"pollbridge/store"
)

// TestKeysOfPlaces: what is stored was encrypted with these keys, and there are many at
// a time.
func TestKeysOfPlaces(t *testing.T) {
	t.Parallel()
	secret := bytes.Repeat([]byte{7}, 32)
	seal := testkit.Must(hkdf.Key(sha256.New, secret, nil, "pollbridge seal", 32))(t)
	keyOf := store.PlaceKeys(secret)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 100 {
				place := fmt.Sprintf("place %d %d", i, j)
				want, err := hkdf.Expand(sha256.New, seal, place, 32)
				if got := keyOf(place); err != nil || !bytes.Equal(got, want) {
					t.Errorf("the key of %q is %x; want %x, %v", place, got, want, err)
				}
			}
		})
	}
	all.Wait()
}
