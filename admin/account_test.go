package admin_test

import (
	"strings"
	"testing"
)

// A script whose variable is empty must not be given everybody's events.
func TestAnEmptyFilterIsNotNone(t *testing.T) {
	m := manage(t)
	for _, body := range []string{`{"url":"https://example.com/hook","account":""}`, `{"url":"https://example.com/hook","session":""}`} {
		if a := m.do("POST", "/v1/subscriptions", body); a.Status != 422 {
			t.Errorf("%s was answered %d: %s", body, a.Status, a.Body)
		}
	}
	for _, body := range []string{`{"account":""}`, `{"session":""}`} {
		if a := m.do("PATCH", "/v1/subscriptions/sub_1", body); a.Status != 422 || !strings.Contains(a.Body, "length") {
			t.Errorf("%s was answered %d: %s", body, a.Status, a.Body)
		}
	}
}
