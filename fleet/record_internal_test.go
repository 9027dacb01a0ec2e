package fleet

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pollbridge/store"
)

// TestRecordsOfFormat1: what replicas of the first format write about themselves, slots and what they announce
// is read and written as ever: those of other versions run beside this one.
func TestRecordsOfFormat1(t *testing.T) {
	started := time.Date(2026, 11, 29, 17, 0, 0, 0, time.UTC)
	for text, record := range map[string]any{
		`{"v":1,"id":"a","name":"n","version":"1.0","format":1,"started":"2026-11-29T17:00:00Z","draining":true,"unwell":true,"watches":7,"beat":9,"keys":"k","store_keys":["s"]}`: replicaRecord{
			1, Replica{ID: "a", Name: "n", Version: "1.0", Format: 1, Started: started, Draining: true, Unwell: true, Watches: 7, Beat: 9, Keys: "k", StoreKeys: []string{"s"}}},
		`{"v":1,"owner":"a","keeper":"a","earlier":["b","c"]}`: slotRecord{1, "a", "a", []string{"b", "c"}},
		`{"v":1,"owner":"","keeper":"a"}`:                      slotRecord{1, "", "a", nil},
		`{"v":1,"lasts":1000000000,"message":"aGk="}`:          announcement{1, time.Second, []byte("hi")},
	} {
		read := reflect.New(reflect.TypeOf(record))
		if err := json.Unmarshal([]byte(text), read.Interface()); err != nil || !reflect.DeepEqual(read.Elem().Interface(), record) {
			t.Errorf("%s is read as %+v, %v", text, read.Elem(), err)
		}
		if written := string(store.JSON(record)); written != text {
			t.Errorf("%+v is written as %s", record, written)
		}
	}
}
