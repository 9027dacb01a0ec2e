package admin

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/gofiber/fiber/v2"

	"pollbridge/session"
)

// Sessions keeps signings that are watched. What it returned without an error is
// durable.
type Sessions interface {
	// Register has a session watched, and its events sent to a webhook if there is
	// one. It may be called again with the same: then it makes nothing new.
	Register(context.Context, NewSession) (Registered, error)
	Session(ctx context.Context, id string) (Session, error)
	// ListSessions returns up to limit sessions, the newest first; after is what the
	// page before returned as next, or empty. next is empty at the end. An empty state
	// means all.
	ListSessions(ctx context.Context, state, after string, limit int) (page []Session, next string, err error)
	// DeleteSession ends the watch and erases all that is kept about the session.
	DeleteSession(ctx context.Context, id string) error
	// Response returns the final answer with everything in it, or webhook.ErrNotFound
	// where there is none, or none yet. Nobody changes what it points to.
	Response(ctx context.Context, id string) (*session.Observation, error)
}

// Session is a signing as the API shows it: without its access token.
type Session struct {
	ID         string    `json:"id" example:"ses_4qhxk2v7m3d6c5n8r9t0w1y2za"`
	Endpoint   string    `json:"endpoint" example:"smartid-sign"`
	Locale     string    `json:"locale,omitempty" example:"en"`
	Token      string    `json:"token" doc:"The upstream's token; in lists only its first 8 characters."`
	State      string    `json:"state" enum:"unknown,pending,succeeded,refused,expired,failed,not_found"`
	Final      bool      `json:"final" doc:"Whether the state will never change again."`
	Watching   bool      `json:"watching" doc:"Whether it is polled in the background."`
	Abandoned  bool      `json:"abandoned" doc:"Whether the watch ended at its deadline, without a final state."`
	CreatedAt  time.Time `json:"created_at"`
	ObservedAt time.Time `json:"observed_at,omitzero" doc:"When the upstream answered last."`
	Deadline   time.Time `json:"deadline,omitzero" doc:"When the watch ends."`
}

// shortened is the session for lists.
func (s Session) shortened() Session {
	const most = 8
	if len(s.Token) > most {
		s.Token = s.Token[:most] + "…"
	}
	return s
}

// NewSession is what a watch is made from.
type NewSession struct {
	Endpoint    string          `json:"endpoint" minLength:"1" maxLength:"100" doc:"The name of the endpoint that tells its status." example:"smartid-sign"`
	Token       string          `json:"token" minLength:"1" maxLength:"512" doc:"What the start call answered."`
	AccessToken string          `json:"access_token" minLength:"1" maxLength:"4096" doc:"The credential to ask with. It is kept encrypted, until the session is forgotten, and never shown."`
	Locale      string          `json:"locale,omitempty" maxLength:"16" doc:"In which language to ask. Left out: the upstream's own." example:"en"`
	Webhook     *SessionWebhook `json:"webhook,omitempty" doc:"Where the events of this session are sent."`
}

// SessionWebhook is a subscription that ends with its session.
type SessionWebhook struct {
	URL         string            `json:"url" minLength:"1" maxLength:"2048" example:"https://example.com/hooks"`
	Secret      string            `json:"secret,omitempty" maxLength:"100" doc:"What signs the deliveries: whsec_ and the base64 of 24 to 64 bytes. Left out: one is made, and shown in this answer only."`
	Events      []string          `json:"events,omitempty" maxItems:"32" uniqueItems:"true" enum:"session.pending,session.succeeded,session.refused,session.expired,session.failed,session.not_found,session.abandoned" doc:"Which events. None: all."`
	IncludeFile bool              `json:"include_file,omitempty" doc:"Whether the signed document is sent too."`
	Headers     map[string]string `json:"headers,omitempty" maxProperties:"20" doc:"Headers to send with every delivery. Their values are not shown again."`
	Signature   string            `json:"signature,omitempty" enum:"v1,v1a" doc:"v1a adds an ed25519 signature. Left out: v1."`
}

// Registered is what Register made or found.
type Registered struct {
	Session Session
	New     bool               // whether the session was not known before
	Webhook *RegisteredWebhook // nil if none was asked for
}

// RegisteredWebhook is the subscription of a session that was registered with one.
type RegisteredWebhook struct {
	Subscription string `json:"subscription" doc:"The id of the subscription."`
	Secret       string `json:"secret,omitempty" doc:"The secret, if it was made just now. It is not shown again."`
}

type registeredSession struct {
	Session
	Webhook *RegisteredWebhook `json:"webhook,omitempty"`
}

// SessionPath is the path of a session. Huma sees exported types only.
type SessionPath struct {
	ID string `path:"id" pattern:"^ses_[0-9A-Za-z_-]{1,64}$" patternDescription:"the id of a session, ses_…"`
}

func (m *management) registerSessions(api huma.API) {
	type output struct {
		Status   int
		Location string `header:"Location" doc:"Where it is from now on."`
		Body     registeredSession
	}
	register := operation(http.MethodPost, "/v1/sessions", "register-session", tagSessions, "Watch a session",
		"Answers 201 for a session that was not known, 200 for one that was: the same call may be made again.", http.StatusCreated, 409, 413, 415)
	register.Responses = map[string]*huma.Response{"200": {Description: "It was watched already."}}
	route(m, api, register, "body", func(ctx context.Context, in *answered[NewSession]) (*output, error) {
		registered, err := m.Sessions.Register(ctx, in.Body)
		if err != nil {
			return nil, err
		}
		status := http.StatusOK
		if registered.New {
			status = http.StatusCreated
		}
		return &output{status, "/v1/sessions/" + registered.Session.ID, registeredSession{registered.Session, registered.Webhook}}, nil
	})
	type filter struct {
		PageParams
		State string `query:"state" enum:"unknown,pending,succeeded,refused,expired,failed,not_found" doc:"Only in this state."`
	}
	route(m, api, operation(http.MethodGet, "/v1/sessions", "list-sessions", tagSessions, "List sessions", "", http.StatusOK),
		inList, func(ctx context.Context, in *filter) (*answered[list[Session]], error) {
			page, err := in.page(ofSessions)
			if err != nil {
				return nil, err
			}
			found, next, err := m.Sessions.ListSessions(ctx, in.State, page.after, page.limit)
			return &answered[list[Session]]{listOf(found, Session.shortened, ofSessions, next)}, err
		})
	route(m, api, operation(http.MethodGet, "/v1/sessions/{id}", "get-session", tagSessions, "Get a session", "", http.StatusOK, 404),
		"path", func(ctx context.Context, in *SessionPath) (*answered[Session], error) {
			found, err := m.Sessions.Session(ctx, in.ID)
			return &answered[Session]{found}, err
		})
	route(m, api, operation(http.MethodDelete, "/v1/sessions/{id}", "delete-session", tagSessions, "Forget a session",
		"Ends its watch and erases its token, credential, answers, events and deliveries.", http.StatusNoContent, 404),
		"path", func(ctx context.Context, in *SessionPath) (*struct{}, error) {
			return nil, m.Sessions.DeleteSession(ctx, in.ID)
		})
	m.registerResponse(api)
}

// headerUpstreamStatus is the status that came with the answer that is shown.
const headerUpstreamStatus = "Pollbridge-Upstream-Status"

func (m *management) registerResponse(api huma.API) {
	type output struct{ Body func(huma.Context) }
	op := operation(http.MethodGet, "/v1/sessions/{id}/response", "get-response", tagSessions, "Get the final answer",
		"What the upstream answered, byte for byte, the signed document included, with its content type. The status is 200 whatever the upstream's was. "+
			"404 as long as there is no final answer, and after it was forgotten.", http.StatusOK, 404)
	op.Responses = map[string]*huma.Response{"200": {
		Description: "The answer.",
		Content:     map[string]*huma.MediaType{"*/*": {Schema: &huma.Schema{Description: "As the upstream sent it, as a rule JSON."}}},
		Headers: map[string]*huma.Param{headerUpstreamStatus: {
			Description: "The status that the upstream answered with.", Schema: &huma.Schema{Type: huma.TypeInteger}, Required: true,
		}},
	}}
	route(m, api, op, "path", func(ctx context.Context, in *SessionPath) (*output, error) {
		o, err := m.Sessions.Response(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return &output{func(ctx huma.Context) { writeAnswer(humafiber.Unwrap(ctx), o) }}, nil
	})
}

func writeAnswer(c *fiber.Ctx, o *session.Observation) {
	c.Status(http.StatusOK)
	c.Set(fiber.HeaderContentSecurityPolicy, "sandbox; default-src 'none'") // a browser shows what the upstream sent
	c.Set(headerUpstreamStatus, strconv.Itoa(o.Status))
	c.Response().Header.SetNoDefaultContentType(true)
	for _, field := range o.Header {
		switch name := string(field.Name); {
		case strings.EqualFold(name, fiber.HeaderContentType), strings.EqualFold(name, fiber.HeaderContentEncoding),
			strings.EqualFold(name, fiber.HeaderContentLanguage):
			c.Set(name, string(field.Value))
		}
	}
	c.Response().SetBodyRaw(o.Body)
}
