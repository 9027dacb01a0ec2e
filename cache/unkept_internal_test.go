package cache

import (
	"testing"

	"pollbridge/session"
)

// TestUnkeptIsBounded however many answers cannot be kept, and has room again when some were.
func TestUnkeptIsBounded(t *testing.T) {
	endpoints, _ := session.Dialect("marksign")
	table, err := session.NewTable(endpoints)
	if err != nil {
		t.Fatal(err)
	}
	v, err := table.Variant("smartid-sign", "token", "credential", "en")
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, 60<<20)
	var u Unkept
	var held []*session.Observation
	for range 10 {
		o := &session.Observation{Content: &session.Content{Body: body}}
		if u.add(v, o) {
			held = append(held, o)
		}
	}
	if len(held) != 4 {
		t.Errorf("%d answers of 60 MiB wait; want 4", len(held))
	}
	if !u.drop(unkeptKey{v.Key(), held[0]}) || !u.add(v, held[0]) || u.add(v, &session.Observation{Content: &session.Content{Body: body}}) {
		t.Error("the room of one that was kept is not that of one other")
	}
	u.forget(func(key string) bool { return key == v.Key() })
	if u.size != 0 || len(u.all()) != 0 {
		t.Errorf("%d bytes wait after the session was forgotten", u.size)
	}
}
