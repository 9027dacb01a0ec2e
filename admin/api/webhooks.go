package api

import (
	"encoding/json"
	"time"
)

// SessionEvent is the body of the webhooks session.*, and the payload of such an [Event].
type SessionEvent struct {
	_         struct{}    `additionalProperties:"true"` // as later versions may send more
	Type      string      `json:"type"`
	Timestamp time.Time   `json:"timestamp" doc:"When the change was seen."`
	Data      SessionData `json:"data"`
}

// SessionData is what there is to know of a session.
type SessionData struct {
	_             struct{}        `additionalProperties:"true"`
	Session       string          `json:"session" doc:"The id of the session." example:"ses_4qhxk2v7m3d6c5n8r9t0w1y2za"`
	Endpoint      string          `json:"endpoint" example:"smartid-sign"`
	Locale        string          `json:"locale" doc:"The language that is polled in. Empty: the upstream's default." example:"en"`
	Token         string          `json:"token" doc:"The upstream's token."`
	Sequence      int             `json:"sequence" minimum:"1" doc:"Counts the events of the session. Deliveries may overtake each other: a higher sequence is newer."`
	State         string          `json:"state" enum:"unknown,pending,succeeded,refused,expired,failed,not_found"`
	PreviousState *string         `json:"previous_state" nullable:"true" enum:"unknown,pending,succeeded,refused,expired,failed,not_found" doc:"Null: this is the first event of the session."`
	Final         bool            `json:"final" doc:"Whether the state will not change again."`
	ObservedAt    *time.Time      `json:"observed_at" nullable:"true" doc:"When the upstream gave the answer. Null: there is none."`
	HTTPStatus    *int            `json:"http_status" nullable:"true" doc:"Of the upstream's answer."`
	ErrorCode     *int32          `json:"error_code" nullable:"true" doc:"Of the upstream's answer."`
	Message       *string         `json:"message" nullable:"true" doc:"Of the upstream's answer, for people."`
	Response      json.RawMessage `json:"response" nullable:"true" doc:"The upstream's answer. Null: there is none, it is no JSON object, or it is larger than 256 KiB without its document; GET /v1/sessions/{id}/response has what is final."`
	FileOmitted   bool            `json:"file_omitted" doc:"Whether something was left out of response: the document, which include_file sends, or all of it. GET /v1/sessions/{id}/response has the whole."`
}

// SubscriptionEvent is the body of the webhooks subscription.*, and the payload of such an
// [Event].
type SubscriptionEvent struct {
	_         struct{}         `additionalProperties:"true"`
	Type      string           `json:"type"`
	Timestamp time.Time        `json:"timestamp" doc:"When it happened."`
	Data      SubscriptionData `json:"data"`
}

// SubscriptionData is how a subscription fares.
type SubscriptionData struct {
	_            struct{}   `additionalProperties:"true"`
	Subscription string     `json:"subscription" doc:"The id of the subscription that fails or is disabled." example:"sub_4qhxk2v7m3d6c5n8r9t0w1y2za"`
	Description  string     `json:"description" doc:"Its description."`
	Reason       *string    `json:"reason" nullable:"true" doc:"Why it is disabled."`
	FailingSince *time.Time `json:"failing_since" nullable:"true" doc:"Since when every attempt has failed."`
}

// WebhookTest is the body of webhook.test.
type WebhookTest struct {
	_         struct{}        `additionalProperties:"true"`
	Type      string          `json:"type"`
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
