package webhook

import (
	"time"

	"pollbridge/webhook/signature"
)

// The kinds of signatures that a subscription can ask for.
const (
	SignatureV1  = signature.V1
	SignatureV1a = signature.V1a // besides v1
)

// Why a subscription is disabled.
const (
	DisabledByRequest = "by request"
	DisabledGone      = "the receiver answered 410 Gone"
	DisabledFailing   = "every attempt has failed for too long"
)

// Subscription is a webhook URL with a filter, as people may see it. Its JSON is the form
// in which it is stored.
type Subscription struct {
	ID          string            `json:"id"` // sub_…
	URL         string            `json:"url"`
	Events      []string          `json:"events,omitempty"`    // types; none: all of sessions
	Endpoints   []string          `json:"endpoints,omitempty"` // names; none: all
	Account     string            `json:"account,omitempty"`   // acc_…; empty: all
	Session     string            `json:"session,omitempty"`   // ses_…; empty: all
	IncludeFile bool              `json:"include_file,omitempty"`
	Description string            `json:"description,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"` // the values are masked
	Signature   string            `json:"signature"`         // SignatureV1 or SignatureV1a
	PublicKey   string            `json:"-"`                 // whpk_…, where Signature is SignatureV1a

	Enabled        bool      `json:"-"`
	DisabledReason string    `json:"disabled,omitempty"`
	DisabledAt     time.Time `json:"disabled_at,omitzero"` // zero: it is enabled
	FailingSince   time.Time `json:"failing,omitzero"`     // zero: the last attempt went well
	// OldSecretUntil is when the secret before the last rotation ceases to sign.
	OldSecretUntil time.Time `json:"-"`

	// Bound means that it was attached to its one session and ends with it.
	Bound bool `json:"bound,omitempty"`
	// Secret is shown once, by what made it: whsec_….
	Secret  string    `json:"secret"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

// NewSubscription is what a subscription is made of.
type NewSubscription struct {
	URL         string
	Events      []string
	Endpoints   []string
	Account     string // an access_token; only its id is kept
	Session     string // ses_…
	IncludeFile bool
	Description string
	Headers     map[string]string
	Signature   string // empty: SignatureV1
	Disabled    bool
}

// SubscriptionPatch changes what is not nil.
type SubscriptionPatch struct {
	URL         *string
	Events      *[]string
	Endpoints   *[]string
	Account     *string // an access_token; empty: all accounts
	Session     *string
	IncludeFile *bool
	Description *string
	Headers     *map[string]string // takes the place of all; a masked value stays what it was
	Signature   *string
	Enabled     *bool
}

// Event is an entry of the log as it is pulled.
type Event struct {
	ID      string // evt_…
	Cursor  string // to read on after it
	Type    string
	Subject string // the session, or the subscription of an operational event
	Payload []byte // the JSON object that is sent, without the file
}

// AttachOptions says where the events of one session go.
type AttachOptions struct {
	URL         string
	Secret      string // whsec_…; empty: one is made
	Events      []string
	IncludeFile bool
	Headers     map[string]string
	Signature   string
}
