package admin

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"pollbridge/admin/api"
	"pollbridge/event"
)

// happenings say when each event is sent.
var happenings = map[string]string{
	event.TypePending:   "A session was seen for the first time, and is not over",
	event.TypeSucceeded: "A session has succeeded",
	event.TypeRefused:   "A session was refused by its signer",
	event.TypeExpired:   "A session has expired: its signer did not act in time",
	event.TypeFailed:    "A session has failed",
	event.TypeNotFound:  "A session is not known to the upstream, and is not watched any more",
	event.TypeAbandoned: "A session had not ended at its deadline, and is not watched any more",
	event.TypeFailing:   "A subscription has been failing for half the time after which it is disabled",
	event.TypeDisabled:  "A subscription was disabled",
	event.TypeTest:      "A test of a subscription",
}

var examples = map[string]json.RawMessage{
	event.TypeSucceeded: json.RawMessage(`{"type":"session.succeeded","timestamp":"2026-11-23T08:15:30.123Z","data":{"session":"ses_4qhxk2v7m3d6c5n8r9t0w1y2za",` +
		`"endpoint":"smartid-sign","locale":"en","token":"0b6cbb2e-5d1c-4e0a-8e3c-0f2a6f1f7d11","sequence":2,"state":"succeeded","previous_state":"pending","final":true,` +
		`"observed_at":"2026-11-23T08:15:30.101Z","http_status":200,"error_code":null,"message":null,` +
		`"response":{"status":"ok","file":{"name":"contract.pdf","digest":"2f1c…"}},"file_omitted":true}}`),
	event.TypeTest: json.RawMessage(`{"type":"webhook.test","timestamp":"2026-11-23T08:15:30.123Z","data":{"subscription":"sub_4qhxk2v7m3d6c5n8r9t0w1y2za","description":"",` +
		`"reason":null,"failing_since":null,"verbatim":{"slash":"\/","letter":"\u0117","number":1.0}}}`),
}

const webhookDescription = "Signed as Standard Webhooks 1.0 says: verify the bytes of the body as they came. The same event may come more than once, always with the same webhook-id."

// describeWebhooks adds every event: as a webhook with a schema of its own, and as what
// an item of GET /v1/events may hold.
func describeWebhooks(d *huma.OpenAPI) {
	schemas := d.Components.Schemas.Map()
	payload := &huma.Schema{Type: huma.TypeObject, Discriminator: &huma.Discriminator{PropertyName: "type", Mapping: map[string]string{}}}
	d.Webhooks = map[string]*huma.PathItem{}
	for _, kind := range event.Types() {
		name := schemaNameOf(kind)
		schemas[name] = eventSchema(d.Components.Schemas, kind)
		ref := "#/components/schemas/" + name
		if kind != event.TypeTest { // it is not recorded
			payload.OneOf = append(payload.OneOf, &huma.Schema{Ref: ref})
			payload.Discriminator.Mapping[kind] = ref
		}
		body := &huma.MediaType{Schema: &huma.Schema{Ref: ref}}
		if example := examples[kind]; example != nil {
			body.Example = example
		}
		d.Webhooks[kind] = &huma.PathItem{Post: &huma.Operation{
			Method: http.MethodPost, Path: kind, OperationID: strings.NewReplacer(".", "-", "_", "-").Replace(kind), Tags: []string{tagWebhooks},
			Summary: happenings[kind], Description: webhookDescription, Parameters: webhookHeaders(), Security: []map[string][]string{{}}, // none
			RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": body}},
			Responses: map[string]*huma.Response{
				"2XX": {Description: "The receiver has taken it. Any other answer is a failure, and is followed by another attempt."},
				"410": {Description: "The receiver wants no more: the subscription is disabled."},
			},
		}}
	}
	schemas["EventPayload"] = payload
	described := schemas["Event"].Properties["payload"].Description
	schemas["Event"].Properties["payload"] = &huma.Schema{Ref: "#/components/schemas/EventPayload", Description: described}
}

// schemaNameOf makes SessionNotFound of session.not_found.
func schemaNameOf(event string) (name string) {
	for _, word := range strings.FieldsFunc(event, func(r rune) bool { return r == '.' || r == '_' }) {
		name += strings.ToUpper(word[:1]) + word[1:]
	}
	return name
}

// eventSchema is the schema of the body of an event.
func eventSchema(schemas huma.Registry, event string) *huma.Schema {
	body := reflect.TypeFor[api.SessionEvent]()
	switch kind, _, _ := strings.Cut(event, "."); kind {
	case "subscription":
		body = reflect.TypeFor[api.SubscriptionEvent]()
	case "webhook":
		body = reflect.TypeFor[api.WebhookTest]()
	}
	schema := *schemas.Schema(body, false, "")
	delete(schemas.Map(), body.Name()) // only those of single events are for others
	schema.Properties = maps.Clone(schema.Properties)
	schema.Properties["type"] = &huma.Schema{Type: huma.TypeString, Enum: []any{event}}
	return &schema
}

func webhookHeaders() (all []*huma.Param) {
	for _, field := range [][2]string{
		{"webhook-id", "The id of the event: the same at every attempt."},
		{"webhook-timestamp", "When the attempt was made, in seconds since 1970. Refuse what is older than a few minutes."},
		{"webhook-signature", "The signatures, separated by spaces: v1,… and, for a subscription that asks for it, v1a,…. While a secret is being rotated there are two. One that fits is enough."},
	} {
		all = append(all, &huma.Param{Name: field[0], In: "header", Required: true, Description: field[1], Schema: &huma.Schema{Type: huma.TypeString}})
	}
	return all
}
