package admin_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pollbridge/admin/api"
	"pollbridge/event"
	"pollbridge/internal/testkit"
)

// description is as much of an OpenAPI document as the tests read.
type description struct {
	OpenAPI string
	Info    struct {
		Title, Version, Description string
		License                     struct{ Identifier string }
	}
	Servers    []struct{ URL string }
	Paths      map[string]map[string]*described
	Webhooks   map[string]map[string]*described
	Components struct {
		Schemas         map[string]*schema
		SecuritySchemes map[string]struct{ Type, Scheme string }
	}
	Security []map[string][]string
	Tags     []struct{ Name string }
}

type described struct {
	OperationID, Summary string
	Tags                 []string
	Parameters           []struct {
		Name, In, Description string
		Required              bool
		Schema                *schema
	}
	RequestBody *struct {
		Required bool
		Content  map[string]struct {
			Schema  *schema
			Example json.RawMessage
		}
	}
	Responses map[string]struct {
		Description string
		Content     map[string]struct{ Schema *schema }
	}

	method, path string
}

type schema struct {
	Ref                  string `json:"$ref"`
	Type                 any
	Properties           map[string]*schema
	Items                *schema
	AdditionalProperties any
	Required             []string
	Enum                 []any
	Pattern, Format      string
	Minimum, Maximum     *float64
	MaxLength, MaxItems  *int
	Description          string
	OneOf                []*schema
	Discriminator        struct{ Mapping map[string]string }
}

func (s *schema) kind() string {
	switch kind := s.Type.(type) {
	case string:
		return kind
	case []any:
		return kind[0].(string)
	}
	return ""
}

// of follows a reference.
func (d *description) of(s *schema) *schema {
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		return d.Components.Schemas[name]
	}
	return s
}

func (d *description) operations() []*described {
	var all []*described
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(d.Paths[path])) {
			op := d.Paths[path][method]
			op.method, op.path = strings.ToUpper(method), path
			all = append(all, op)
		}
	}
	return all
}

func (op *described) body() *schema {
	if op.RequestBody == nil {
		return nil
	}
	return op.RequestBody.Content["application/json"].Schema
}

func describe(m *managed) *description {
	m.t.Helper()
	a := m.do("GET", "/openapi.json", "")
	if a.Status != 200 || a.Header.Get("Content-Type") != "application/openapi+json" {
		m.t.Fatalf("openapi.json = %d %v", a.Status, a.Header)
	}
	d := decode[description](m.t, a)
	return &d
}

func TestDescription(t *testing.T) {
	m := manage(t)
	d := describe(m)
	if !strings.HasPrefix(d.OpenAPI, "3.1.") || d.Info.Title == "" || d.Info.Version != "1.2.3" || d.Components.SecuritySchemes["key"].Scheme != "bearer" || len(d.Security) != 1 {
		t.Errorf("description = %+v", d)
	}
	var calls []string
	ids := map[string]bool{}
	for _, op := range d.operations() {
		call := op.method + " " + op.path
		calls = append(calls, call)
		if op.OperationID == "" || ids[op.OperationID] || op.Summary == "" || len(op.Tags) != 1 {
			t.Errorf("%s: id %q, summary %q, tags %v; want each, and ids once", call, op.OperationID, op.Summary, op.Tags)
		}
		ids[op.OperationID] = true
		for _, status := range []string{"400", "401", "422", "500", "503"} {
			if response := op.Responses[status]; response.Description == "" || response.Content["application/problem+json"].Schema == nil {
				t.Errorf("%s: %s is not described as a problem", call, status)
			}
		}
		if _, ok := op.Responses["404"]; ok != strings.Contains(op.path, "{id}") {
			t.Errorf("%s: 404 described: %v", call, ok)
		}
		for status, response := range op.Responses {
			if response.Description == "" {
				t.Errorf("%s: %s has no description", call, status)
			}
		}
		for _, name := range regexp.MustCompile(`{(\w+)}`).FindAllStringSubmatch(op.path, -1) {
			if !slices.ContainsFunc(op.Parameters, func(p struct {
				Name, In, Description string
				Required              bool
				Schema                *schema
			}) bool {
				return p.Name == name[1] && p.In == "path" && p.Required
			}) {
				t.Errorf("%s: {%s} is not described", call, name[1])
			}
		}
		for _, p := range op.Parameters {
			if p.Schema == nil || p.In != "path" && p.Description == "" {
				t.Errorf("%s: parameter %s is not described", call, p.Name)
			}
		}
	}
	want := strings.Split(`GET /v1/deliveries
GET /v1/deliveries/{id}
POST /v1/deliveries/{id}/redeliver
GET /v1/events
GET /v1/events/stream
GET /v1/replicas
GET /v1/schedule
GET /v1/sessions
POST /v1/sessions
DELETE /v1/sessions/{id}
GET /v1/sessions/{id}
GET /v1/sessions/{id}/events
GET /v1/sessions/{id}/response
GET /v1/stats
GET /v1/subscriptions
POST /v1/subscriptions
DELETE /v1/subscriptions/{id}
GET /v1/subscriptions/{id}
PATCH /v1/subscriptions/{id}
POST /v1/subscriptions/{id}/recover
POST /v1/subscriptions/{id}/rotate-secret
POST /v1/subscriptions/{id}/test`, "\n")
	if !slices.Equal(calls, want) {
		t.Errorf("calls = %s", strings.Join(calls, "\n"))
	}
	if d.Info.License.Identifier != "MIT" || len(d.Servers) == 0 || d.Servers[0].URL != "/" {
		t.Errorf("license %+v, servers %+v", d.Info.License, d.Servers)
	}
	text := m.do("GET", "/openapi.json", "").Body
	if file := os.Getenv("POLLBRIDGE_TEST_OPENAPI"); file != "" {
		testkit.NoError(t, os.WriteFile(file, []byte(text), 0o600)) // for .ci/openapi
	}
	t.Log("every event is a webhook with a schema of its own, and the payload of an item but for the test")
	events := event.Types()
	if got, want := slices.Sorted(maps.Keys(d.Webhooks)), slices.Sorted(slices.Values(events)); !slices.Equal(got, want) {
		t.Errorf("webhooks = %v, want %v", got, want)
	}
	payload := d.of(d.Components.Schemas["Event"].Properties["payload"])
	for i, kind := range events {
		op := d.Webhooks[kind]["post"]
		if op == nil || op.Summary == "" || op.Responses["2XX"].Description == "" || !slices.Equal(d.of(op.body()).Properties["type"].Enum, []any{kind}) {
			t.Errorf("webhook %s is %+v", kind, op)
		} else if ref := op.body().Ref; kind == event.TypeTest != (i >= len(payload.OneOf) || payload.OneOf[i].Ref != ref || payload.Discriminator.Mapping[kind] != ref) {
			t.Errorf("the payload of %s is not %s", kind, ref)
		}
	}
	t.Log("references lead somewhere, and nothing is described in vain")
	used := map[string]bool{}
	for _, ref := range regexp.MustCompile(`"\$ref": "([^"]*)"`).FindAllStringSubmatch(text, -1) {
		name := strings.TrimPrefix(ref[1], "#/components/schemas/")
		used[name] = true
		if d.Components.Schemas[name] == nil {
			t.Errorf("%s leads nowhere", ref[1])
		}
	}
	for name, s := range d.Components.Schemas {
		if !used[name] || s.kind() != "object" {
			t.Errorf("schema %s: used %v, %v", name, used[name], s.Type)
		}
	}
	wantEvents := event.Types()
	wantEvents = wantEvents[:len(wantEvents)-1] // webhook.test is sent on request only
	for _, name := range []string{"NewSubscription", "SubscriptionPatch"} {
		var got []string
		for _, e := range d.Components.Schemas[name].Properties["events"].Enum {
			got = append(got, e.(string))
		}
		if items := d.Components.Schemas[name].Properties["events"].Items; items != nil {
			for _, e := range items.Enum {
				got = append(got, e.(string))
			}
		}
		if !slices.Equal(got, wantEvents) {
			t.Errorf("%s.events = %v, want %v", name, got, wantEvents)
		}
	}
}

// wrong are values that are none of a schema.
func wrong(s *schema) []string {
	values := map[string]string{"string": `"x"`, "boolean": `true`, "integer": `7`, "array": `[]`, "object": `{}`}
	delete(values, s.kind())
	if s.kind() == "number" {
		delete(values, "integer")
	}
	all := slices.Collect(maps.Values(values))
	switch {
	case len(s.Enum) > 0:
		all = append(all, `"nonsense"`)
	case s.Format == "date-time":
		all = append(all, `"yesterday"`, `"2026-11-23"`, `""`)
	case s.Pattern != "":
		all = append(all, `"n/o"`)
	}
	if s.MaxLength != nil {
		all = append(all, `"`+strings.Repeat("x", *s.MaxLength+1)+`"`)
	}
	if s.MaxItems != nil {
		all = append(all, `[`+strings.Repeat(`"x",`, *s.MaxItems)+`"x"]`)
	}
	return all
}

// right is a value of a schema.
func (d *description) right(s *schema) string {
	s = d.of(s)
	switch {
	case len(s.Enum) > 0:
		text, _ := json.Marshal(s.Enum[0])
		return string(text)
	case s.Format == "date-time":
		return `"2026-11-23T08:15:30Z"`
	}
	switch s.kind() {
	case "string":
		return `"https://example.com"`
	case "boolean":
		return "true"
	case "integer":
		return "1"
	case "array":
		return "[]"
	}
	return d.rightObject(s, "", "")
}

// rightObject is an object with what it needs, and another value for one name.
func (d *description) rightObject(s *schema, name, value string) string {
	members := map[string]string{}
	for _, required := range s.Required {
		members[required] = d.right(s.Properties[required])
	}
	if name != "" {
		members[name] = value
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(members)) {
		parts = append(parts, fmt.Sprintf("%q:%s", name, members[name]))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// TestEveryFieldOfEveryBody sends to each operation of the description what it does not
// take.
func TestEveryFieldOfEveryBody(t *testing.T) {
	m := manage(t)
	d := describe(m)
	checked := 0
	for _, op := range d.operations() {
		if op.body() == nil {
			continue
		}
		path := pathOf(op)
		refuse := func(body, location string) {
			t.Helper()
			checked++
			a := m.do(op.method, path, body)
			if a.Status != 422 {
				t.Errorf("%s %s %s = %d %s; want 422", op.method, path, body, a.Status, a.Body)
			}
			wantLocation(t, op.method+" "+path+" "+body, a, location)
		}
		var object func(s *schema, location string, around func(string) string)
		object = func(s *schema, location string, around func(string) string) {
			refuse(around(d.rightObject(s, "nonsense", "1")), location+".nonsense")
			for _, name := range s.Required {
				refuse(around(strings.Replace(d.rightObject(s, "", ""), `"`+name+`":`, `"`+name+`x":`, 1)), location+"."+name)
			}
			for name, property := range s.Properties {
				refuse(around(d.rightObject(s, strings.ToUpper(name), d.right(property))), location+"."+strings.ToUpper(name))
				property = d.of(property)
				for _, value := range wrong(property) {
					refuse(around(d.rightObject(s, name, value)), location+"."+name)
				}
				inside := func(value string) string { return around(d.rightObject(s, name, value)) }
				switch {
				case property.Properties != nil:
					object(property, location+"."+name, inside)
				case property.kind() == "array":
					for _, value := range wrong(d.of(property.Items)) {
						refuse(inside("["+value+"]"), location+"."+name+"[0]")
					}
				case property.kind() == "object":
					refuse(inside(`{"a":1}`), location+"."+name+".a")
				}
			}
		}
		object(d.of(op.body()), "body", func(body string) string { return body })
		for _, body := range []string{"[]", `"x"`, "1", "true"} {
			refuse(body, "body")
		}
	}
	if checked < 150 {
		t.Errorf("%d wrong bodies were sent; want every field's", checked)
	}
	if len(m.created)+len(m.changes)+len(m.attached) > 0 {
		t.Errorf("a wrong body reached a service: %v %v %v", m.created, m.changes, m.attached)
	}
}

func pathOf(op *described) string {
	kind := strings.Split(op.path, "/")[2]
	return strings.Replace(op.path, "{id}", map[string]string{"subscriptions": "sub_1", "deliveries": "dlv_1", "sessions": "ses_1"}[kind], 1)
}

// TestEveryParameterOfEveryCall sends to each operation of the description parameters
// that it does not take.
func TestEveryParameterOfEveryCall(t *testing.T) {
	m := manage(t)
	d := describe(m)
	checked := 0
	for _, op := range d.operations() {
		body := ""
		if op.body() != nil {
			body = d.right(op.body())
		}
		refuse := func(path, location string) {
			t.Helper()
			checked++
			a := m.do(op.method, path, body)
			if a.Status != 422 {
				t.Errorf("%s %s = %d %s; want 422", op.method, path, a.Status, a.Body)
			}
			wantLocation(t, op.method+" "+path, a, location)
		}
		refuse(pathOf(op)+"?nonsense=1", "query.nonsense")
		for _, p := range op.Parameters {
			switch p.In {
			case "path":
				for _, bad := range []string{"x", "sub_", "evt_1", "sub_a%2Fb", "dlv_%00", "ses_" + strings.Repeat("x", 200)} {
					refuse(strings.Replace(op.path, "{id}", bad, 1), "path.id")
				}
			case "query":
				refuse(pathOf(op)+"?"+strings.ToUpper(p.Name)+"=1", "query."+strings.ToUpper(p.Name))
				for _, value := range []string{"n/o ", strings.Repeat("x", 600)} {
					refuse(pathOf(op)+"?"+p.Name+"="+url.QueryEscape(value), "query."+p.Name)
				}
			}
		}
	}
	if checked < 80 {
		t.Errorf("%d wrong calls were made; want every parameter's", checked)
	}
}

// TestEventsAreDescribed as they are sent, byte for byte where that matters.
func TestEventsAreDescribed(t *testing.T) {
	m, receiver, signed := realManaged(t)
	receiver.Set(func(w http.ResponseWriter, got testkit.Webhook, _ int) {
		if got.Type == event.TypeSucceeded {
			w.WriteHeader(http.StatusGone)
		}
	})
	d := describe(m)
	var compare func(where string, s *schema, value any)
	compare = func(where string, s *schema, value any) {
		s = d.of(s)
		kinds := []any{s.Type}
		if list, ok := s.Type.([]any); ok {
			kinds = list
		}
		kind := map[bool]string{true: "integer", false: "number"}[slices.Contains(kinds, any("integer"))]
		switch value.(type) {
		case nil:
			kind = "null"
		case bool:
			kind = "boolean"
		case string:
			kind = "string"
		case map[string]any:
			kind = "object"
		}
		if !slices.Contains(kinds, any(kind)) || len(s.Enum) > 0 && !slices.Contains(s.Enum, value) {
			t.Errorf("%s is %v; described are %v %v", where, value, s.Type, s.Enum)
		}
		object, is := value.(map[string]any)
		if !is || s.Properties == nil {
			return
		}
		sent, required := slices.Sorted(maps.Keys(object)), slices.Sorted(slices.Values(s.Required))
		if !slices.Equal(sent, required) || len(s.Properties) != len(sent) || s.AdditionalProperties != true {
			t.Errorf("%s has %v; described are %v, and others: %v", where, sent, required, s.AdditionalProperties)
		}
		for name, value := range object {
			if s.Properties[name] != nil {
				compare(where+"."+name, s.Properties[name], value)
			}
		}
	}
	like := func(what, kind, text string) {
		var value any
		testkit.NoError(t, json.Unmarshal([]byte(text), &value))
		compare(what, d.Webhooks[kind]["post"].body(), value)
	}
	sub, err := m.api.CreateSubscription(t.Context(), api.NewSubscription{URL: receiver.URL})
	testkit.NoError(t, err)
	_, err = m.api.TestSubscription(t.Context(), sub.ID)
	testkit.NoError(t, err)
	_, _, err = m.api.RegisterSession(t.Context(), api.NewSession{Endpoint: "smartid-sign", Token: "0123456789abcdef", AccessToken: "the-access-token"})
	testkit.NoError(t, err)
	awaitWebhook(t, receiver, 1, sub.Secret, event.TypePending)
	signed.Store(true)
	awaitWebhook(t, receiver, 2, sub.Secret, event.TypeSucceeded)
	for _, got := range receiver.Got() {
		like("what was sent as "+got.Type, got.Type, string(got.Body))
		for _, field := range d.Webhooks[got.Type]["post"].Parameters {
			if field.In != "header" || got.Header.Get(field.Name) == "" {
				t.Errorf("%s came without %s", got.Type, field.Name)
			}
		}
	}
	for q := (api.EventQuery{Wait: 20 * time.Second}); q.After != "all"; {
		page, err := m.api.Events(t.Context(), q)
		testkit.NoError(t, err)
		q.After = page.Next
		for _, e := range page.Items {
			like("the payload of "+e.Type, e.Type, string(e.Payload))
			if e.Type == event.TypeDisabled {
				q.After = "all" // the last one
			}
		}
	}
	for _, kind := range []string{event.TypeSucceeded, event.TypeTest} {
		like("the example of "+kind, kind, string(d.Webhooks[kind]["post"].RequestBody.Content["application/json"].Example))
	}
	for what, text := range map[string]string{
		"what was sent": string(receiver.Got()[0].Body), "the example": string(d.Webhooks[event.TypeTest]["post"].RequestBody.Content["application/json"].Example),
	} {
		if spaceless := strings.Join(strings.Fields(text), ""); !strings.Contains(spaceless, `"slash":"\/","letter":"\u0117","number":1.0`) {
			t.Errorf("%s is written anew: %s", what, text)
		}
	}
}
