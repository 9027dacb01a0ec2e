package api

import "time"

// WebhookTest is the body of webhook.test.
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
