package store_test

import (
	"errors"
	"reflect"
	"testing"

	"pollbridge/store"
)

// TestBothWaysToRead: whichever server is asked, it says the same where there is only one.
func TestBothWaysToRead(t *testing.T) {
	t.Parallel()
	things := bucket(t, fresh(t), 0)
	must(things.Put(within(t), "a", []byte("1"), 0))(t)
	for _, key := range []string{"a", "none"} {
		anywhere, err := things.Get(within(t), key)
		leading, leadingErr := things.Read(within(t), key)
		if !reflect.DeepEqual(anywhere, leading) || !errors.Is(leadingErr, err) {
			t.Errorf("%s is %+v, %v; the server that leads says %+v, %v", key, anywhere, err, leading, leadingErr)
		}
	}
	if err := things.Delete(within(t), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := things.Read(within(t), "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("read of a deleted key: %v; want ErrNotFound, of which a header tells", err)
	}
}
