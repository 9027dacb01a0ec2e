package admin

import (
	"encoding/json"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"pollbridge/admin/api"
)

var verbatimExample = json.RawMessage(`{"type":"webhook.test","timestamp":"2026-11-23T08:15:30.123Z","data":{"subscription":"sub_4qhxk2v7m3d6c5n8r9t0w1y2za","description":"",` +
	`"reason":null,"failing_since":null,"verbatim":{"slash":"\/","letter":"\u0117","number":1.0}}}`)

// describeTest adds webhook.test to the description.
func describeTest(description *huma.OpenAPI) {
	schema := description.Components.Schemas.Schema(reflect.TypeFor[api.WebhookTest](), true, "")
	description.Webhooks = map[string]*huma.PathItem{"webhook.test": {Post: &huma.Operation{
		OperationID: "webhook-test", Tags: []string{tagSubscriptions}, Summary: "A test of a subscription",
		Description: "Sent by POST /v1/subscriptions/{id}/test, signed as every webhook is (Standard Webhooks).",
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: schema, Example: verbatimExample}}},
		Responses:   map[string]*huma.Response{"2XX": {Description: "The receiver has taken it; any other answer is a failure."}},
		Method:      http.MethodPost,
	}}}
}
