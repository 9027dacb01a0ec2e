package admin_test

import (
	"slices"
	"strings"
	"testing"

	"pollbridge/admin/api"
	"pollbridge/internal/testkit"
)

// TestEveryWrongFieldIsNamed whoever finds it: the description, the service, or nobody but
// the call itself.
func TestEveryWrongFieldIsNamed(t *testing.T) {
	m, receiver, _ := realManaged(t)
	sub, err := m.api.CreateSubscription(t.Context(), api.NewSubscription{URL: receiver.URL, Headers: map[string]string{"X-A": "hunter2"}})
	testkit.NoError(t, err)
	for _, test := range []struct{ call, body, want string }{
		{"POST /v1/subscriptions", `{"url":"ftp://x","endpoints":["nope"],"headers":{"Host":"x","Te":"x"}}`, "body.url body.endpoints[0] body.headers.Host body.headers.Te"},
		{"POST /v1/subscriptions", `{"url":"ftp://x","events":["nope"],"signature":5,"headers":{"Host":"x"},"Url":1,"more":{}}`,
			"body.Url body.events[0] body.headers.Host body.more body.signature body.url"},
		{"POST /v1/subscriptions?more=1&nonsense=2", `{"endpoints":["nope"],"description":7}`, "body.description body.endpoints[0] body.url query.more query.nonsense"},
		{"POST /v1/subscriptions?more=1", `{"url":"ftp://x"}`, "body.url query.more"},
		{"POST /v1/subscriptions", `{"url":"` + receiver.URL + `","enabled":"x","session":"ses_","headers":{"a":1,"Host":"x"}}`, "body.enabled body.headers.Host body.headers.a body.session"},
		{"POST /v1/sessions", `{"endpoint":"nope","token":"a/b","access_token":"x","webhook":{"url":"ftp://x","secret":"x"}}`, "body.endpoint body.token body.webhook.secret body.webhook.url"},
		{"POST /v1/sessions", `{"endpoint":"smartid-sign","token":"a/b","access_token":"","locale":"xx","webhook":{"url":"ftp://x","secret":5,"events":["x"],"headers":{"Host":"x"}}}`,
			"body.access_token body.locale body.token body.webhook.events[0] body.webhook.headers.Host body.webhook.secret body.webhook.url"},
		{"POST /v1/sessions", `{"webhook":{}}`, "body.access_token body.endpoint body.token body.webhook.url"},
		{"PATCH /v1/subscriptions/" + sub.ID, `{"url":"ftp://x","endpoints":["nope"],"headers":{"Host":"x","X-A":"***"}}`, "body.endpoints[0] body.headers.Host body.url"},
		{"PATCH /v1/subscriptions/" + sub.ID, `{"url":"ftp://x","headers":{"X-A":"***"},"signature":"v9"}`, "body.signature body.url"},
		{"PATCH /v1/subscriptions/x", `{"url":"ftp://x","enabled":7}`, "body.enabled body.url path.id"},
		{"GET /v1/subscriptions?limit=0&cursor=!", "", "query.cursor query.limit"},
		{"GET /v1/sessions?limit=0&cursor=dyE&state=x", "", "query.cursor query.limit query.state"},
		{"GET /v1/deliveries?limit=0&cursor=!&state=x&session=x&nonsense=1", "", "query.cursor query.limit query.nonsense query.session query.state"},
		{"GET /v1/events?limit=1&limit=2&wait=99&after=!", "", "query.after query.limit query.wait"},
		{"GET /v1/events?limit=1&limit=2", "", "query.limit"},
		{"GET /v1/events/stream?after=!&more=1", "", "query.after query.more"},
	} {
		method, path, _ := strings.Cut(test.call, " ")
		a := m.do(method, path, test.body)
		p := decode[api.Problem](t, a)
		var got []string
		for _, field := range p.Errors {
			got = append(got, field.Location)
			if field.Message == "" {
				t.Errorf("%s %s: nothing is said of %s", test.call, test.body, field.Location)
			}
		}
		slices.Sort(got)
		want := strings.Fields(test.want)
		slices.Sort(want)
		if a.Status != 422 || !slices.Equal(got, want) {
			t.Errorf("%s %s = %d %v; want %v", test.call, test.body, a.Status, got, want)
		}
	}
}
