package admin

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/gofiber/fiber/v2"

	"pollbridge/session"
	"pollbridge/watch"
	"pollbridge/webhook"
)

// Sessions keeps signings that are watched: a [*watch.Watcher]. What it returned
// without an error is durable.
type Sessions interface {
	Watch(ctx context.Context, v *session.Variant) (watch.Session, error)
	Get(ctx context.Context, id string) (watch.Session, error)
	List(ctx context.Context, status string, before uint64, limit int) (page []watch.Session, next uint64, err error)
	Delete(ctx context.Context, id string) error
	Response(ctx context.Context, id string) (*session.Observation, error)
	Subject(v *session.Variant) webhook.Subject
}

// Session is a signing as the API shows it: without its access token.
type Session struct {
	ID        string    `json:"id" example:"ses_4qhxk2v7m3d6c5n8r9t0w1y2za"`
	Endpoint  string    `json:"endpoint" example:"smartid-sign"`
	Account   string    `json:"account" doc:"A hash of its access token."`
	Locale    string    `json:"locale,omitempty" example:"en"`
	Token     string    `json:"token" doc:"The upstream's token; in lists only its first 8 characters."`
	State     string    `json:"state" enum:"abandoned,unknown,pending,succeeded,refused,expired,failed,not_found" doc:"abandoned: the deadline has passed before a final state."`
	Final     bool      `json:"final" doc:"Whether the state will never change again."`
	Watching  bool      `json:"watching" doc:"Whether it is polled in the background."`
	CreatedAt time.Time `json:"created_at" doc:"When it was first seen."`
	ChangedAt time.Time `json:"changed_at" doc:"When its state last changed."`
	Deadline  time.Time `json:"deadline,omitzero" doc:"When it is given up. Absent: it is not watched."`
}

func shownSession(s watch.Session) Session {
	shown := Session{
		ID: s.ID, Endpoint: s.Endpoint, Account: s.Account, Locale: s.Locale, Token: s.Token, State: s.Status(),
		Final: s.State.Final(), Watching: s.End == watch.Watching, CreatedAt: s.Created, ChangedAt: s.Changed,
	}
	if shown.Watching {
		shown.Deadline = s.Deadline
	}
	return shown
}

// listedSession is the session for lists, which show no whole token.
func listedSession(s watch.Session) Session {
	const most = 8
	if len(s.Token) > most {
		s.Token = s.Token[:most] + "…"
	}
	return shownSession(s)
}

// newSession is what a watch is made from.
type newSession struct {
	Endpoint    string          `json:"endpoint" minLength:"1" maxLength:"100" doc:"The name of the endpoint that tells its status." example:"smartid-sign"`
	Token       string          `json:"token" minLength:"1" maxLength:"512" doc:"What the start call answered."`
	AccessToken string          `json:"access_token" minLength:"1" maxLength:"4096" doc:"The credential to ask with. It is kept encrypted, until the session is forgotten, and never shown."`
	Locale      string          `json:"locale,omitempty" maxLength:"16" doc:"In which language to ask. Left out: the upstream's own." example:"en"`
	Webhook     *sessionWebhook `json:"webhook,omitempty" doc:"Where the events of this session are sent."`
}

// sessionWebhook is a subscription that ends with its session.
type sessionWebhook struct {
	URL         string            `json:"url" minLength:"1" maxLength:"2048" example:"https://example.com/hooks"`
	Secret      string            `json:"secret,omitempty" maxLength:"100" doc:"What signs the deliveries: whsec_ and the base64 of 24 to 64 bytes. Left out: one is made, and shown in this answer only."`
	Events      []string          `json:"events,omitempty" maxItems:"32" enum:"session.pending,session.succeeded,session.refused,session.expired,session.failed,session.not_found,session.abandoned" doc:"Which events. None: all."`
	IncludeFile bool              `json:"include_file,omitempty" doc:"Whether the signed document is sent too."`
	Headers     map[string]string `json:"headers,omitempty" maxProperties:"20" doc:"Headers to send with every delivery. Their values are not shown again."`
	Signature   string            `json:"signature,omitempty" enum:"v1,v1a" doc:"v1a adds an ed25519 signature. Left out: v1."`
}

func (w sessionWebhook) wanted() webhook.AttachOptions {
	return webhook.AttachOptions{
		URL: w.URL, Secret: w.Secret, Events: w.Events, IncludeFile: w.IncludeFile, Headers: w.Headers, Signature: w.Signature,
	}
}

type registeredSession struct {
	Session
	Webhook *registeredWebhook `json:"webhook,omitempty"`
}

type registeredWebhook struct {
	Subscription string `json:"subscription" doc:"The id of its subscription."`
	Secret       string `json:"secret,omitempty" doc:"The secret, if it was made just now. It is not shown again."`
	PublicKey    string `json:"public_key,omitempty" doc:"What v1a signatures are verified with: whpk_…"`
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
	route(m, api, register, "body", func(ctx context.Context, in *answered[newSession]) (*output, error) {
		made, known, err := m.watchSession(ctx, in.Body)
		if err != nil {
			return nil, err
		}
		status := http.StatusCreated
		if known {
			status = http.StatusOK
		}
		return &output{status, "/v1/sessions/" + made.ID, made}, nil
	})
	type filter struct {
		PageParams
		State string `query:"state" enum:"abandoned,unknown,pending,succeeded,refused,expired,failed,not_found" doc:"Only in this state."`
	}
	route(m, api, operation(http.MethodGet, "/v1/sessions", "list-sessions", tagSessions, "List sessions", "What changed last comes first. A part of the list may be shorter than its limit, even empty, and yet have a next.", http.StatusOK),
		inList, func(ctx context.Context, in *filter) (*answered[list[Session]], error) {
			before, err := in.before()
			if err != nil {
				return nil, err
			}
			found, next, err := m.Sessions.List(ctx, in.State, before, in.Limit)
			return &answered[list[Session]]{listOf(found, listedSession, ofSessions, revision(next))}, err
		})
	route(m, api, operation(http.MethodGet, "/v1/sessions/{id}", "get-session", tagSessions, "Get a session", "", http.StatusOK, 404),
		"path", func(ctx context.Context, in *SessionPath) (*answered[Session], error) {
			found, err := m.Sessions.Get(ctx, in.ID)
			return &answered[Session]{shownSession(found)}, err
		})
	route(m, api, operation(http.MethodDelete, "/v1/sessions/{id}", "delete-session", tagSessions, "Forget a session",
		"Ends its watch and erases its token, credential, answers, events and deliveries.", http.StatusNoContent, 404),
		"path", func(ctx context.Context, in *SessionPath) (*struct{}, error) {
			return nil, m.Sessions.Delete(ctx, in.ID)
		})
	m.registerResponse(api)
}

// watchSession has a session watched, and known reports whether it was. The webhook
// comes first: its URL is what is most likely wrong, and then nothing has happened yet.
func (m *management) watchSession(ctx context.Context, n newSession) (made registeredSession, known bool, err error) {
	v, err := m.Table.Variant(n.Endpoint, n.Token, n.AccessToken, n.Locale)
	if err != nil {
		return made, false, variantProblem(err)
	}
	subject := m.Sessions.Subject(v)
	_, err = m.Sessions.Get(ctx, subject.Session)
	known = err == nil
	if err != nil && !errors.Is(err, watch.ErrNotFound) {
		return made, false, err
	}
	if n.Webhook != nil {
		attached, err := m.attach(ctx, subject, *n.Webhook)
		if err != nil {
			return made, known, err
		}
		made.Webhook = attached
	}
	watched, err := m.Sessions.Watch(ctx, v)
	if err != nil {
		m.detach(ctx, made.Webhook)
		return made, known, err
	}
	made.Session = shownSession(watched)
	return made, known, nil
}

func (m *management) attach(ctx context.Context, subject webhook.Subject, w sessionWebhook) (*registeredWebhook, error) {
	s, err := m.Subscriptions.Attach(ctx, subject, w.wanted())
	if wrong, ok := errors.AsType[*webhook.FieldError](err); ok {
		return nil, &webhook.FieldError{Field: "webhook." + wrong.Field, Problem: wrong.Problem}
	}
	return &registeredWebhook{s.ID, s.Secret, s.PublicKey}, err
}

// detach takes back a webhook that was made just now, so that whoever tries again is
// told its secret. Others end by themselves.
func (m *management) detach(ctx context.Context, w *registeredWebhook) {
	if w == nil || w.Secret == "" {
		return
	}
	if err := m.Subscriptions.Delete(context.WithoutCancel(ctx), w.Subscription); err != nil {
		m.log.Warn("the webhook of a session that is not watched could not be taken back", "subscription", w.Subscription, "error", err)
	}
}

// variantProblem names the field as the body does.
func variantProblem(err error) error {
	wrong, ok := errors.AsType[*session.VariantError](err)
	if !ok {
		return err
	}
	field := wrong.Field
	if field == "credential" {
		field = "access_token"
	}
	return &webhook.FieldError{Field: field, Problem: wrong.Problem}
}

// revision is a place in the list of sessions, as a position of a cursor.
func revision(before uint64) string {
	if before == 0 {
		return ""
	}
	return strconv.FormatUint(before, 36)
}

// before is the place in the list of sessions that the cursor stands for.
func (p PageParams) before() (uint64, error) {
	text, err := position(ofSessions, "query.cursor", p.Cursor)
	if text == "" || err != nil {
		return 0, err
	}
	before, err := strconv.ParseUint(text, 36, 64)
	if err != nil || before == 0 {
		return 0, badCursor("query.cursor")
	}
	return before, nil
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
