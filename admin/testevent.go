package admin

import (
	"encoding/json"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// WebhookTest is the body of webhook.test, as package webhook sends it.
type WebhookTest struct {
	_         struct{}        `additionalProperties:"true"` // as later versions may send more
	Type      string          `json:"type" enum:"webhook.test"`
	Timestamp time.Time       `json:"timestamp" doc:"When it was made."`
	Data      WebhookTestData `json:"data"`
}

// WebhookTestData is what webhook.test tells.
type WebhookTestData struct {
	_            struct{}            `additionalProperties:"true"`
	Subscription string              `json:"subscription" doc:"The id of the subscription that is tested."`
	Description  string              `json:"description" doc:"Its description."`
	Reason       *string             `json:"reason" nullable:"true" doc:"Always null."`
	FailingSince *string             `json:"failing_since" nullable:"true" doc:"Always null."`
	Verbatim     WebhookTestVerbatim `json:"verbatim" doc:"JSON that is not the same when it was decoded and encoded again. A receiver that does so before it verifies refuses this event: verify the bytes as they came."`
}

// WebhookTestVerbatim is JSON with more than one spelling.
type WebhookTestVerbatim struct {
	_      struct{} `additionalProperties:"true"`
	Slash  string   `json:"slash" doc:"Sent as \"\\/\", which most libraries write as \"/\"."`
	Letter string   `json:"letter" doc:"Sent as \"\\u0117\", which most libraries write as the letter itself."`
	Number float64  `json:"number" doc:"Sent as 1.0, which JavaScript and PHP write as 1."`
}

var verbatimExample = json.RawMessage(`{"type":"webhook.test","timestamp":"2026-11-23T08:15:30.123Z","data":{"subscription":"sub_4qhxk2v7m3d6c5n8r9t0w1y2za","description":"",` +
	`"reason":null,"failing_since":null,"verbatim":{"slash":"\/","letter":"\u0117","number":1.0}}}`)

// describeTest adds webhook.test to the description.
func describeTest(description *huma.OpenAPI) {
	schema := description.Components.Schemas.Schema(reflect.TypeFor[WebhookTest](), true, "")
	description.Webhooks = map[string]*huma.PathItem{"webhook.test": {Post: &huma.Operation{
		OperationID: "webhook-test", Tags: []string{tagSubscriptions}, Summary: "A test of a subscription",
		Description: "Sent by POST /v1/subscriptions/{id}/test, signed as every webhook is (Standard Webhooks).",
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: schema, Example: verbatimExample}}},
		Responses:   map[string]*huma.Response{"2XX": {Description: "The receiver has taken it; any other answer is a failure."}},
		Method:      http.MethodPost,
	}}}
}
