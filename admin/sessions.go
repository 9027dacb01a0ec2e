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
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"

	"pollbridge/admin/api"
	"pollbridge/event"
	"pollbridge/session"
	"pollbridge/watch"
	"pollbridge/webhook"
)

// Sessions keeps signings that are watched: a [*watch.Watcher]. What it returned
// without an error is durable.
type Sessions interface {
	Watch(ctx context.Context, v *session.Variant) (watch.Session, error)
	Get(ctx context.Context, id string) (watch.Session, error)
	// Polling returns how a session is polled. The error is watch.ErrNotFound where it is not.
	Polling(ctx context.Context, id string) (watch.Polling, error)
	List(ctx context.Context, status string, before uint64, limit int) (page []watch.Session, next uint64, err error)
	Delete(ctx context.Context, id string) error
	Subject(v *session.Variant) event.Subject
}

// Answers are the final answers that sessions came to.
type Answers interface {
	// Of returns the one that was made at a time. The error is store.ErrNotFound where there
	// is none, or not any more.
	Of(ctx context.Context, sessionID string, at time.Time) (*session.Observation, error)
}

func shownSession(s watch.Session) api.Session {
	shown := api.Session{
		ID: s.ID, Endpoint: s.Endpoint, Account: s.Account, Locale: s.Locale, Token: s.Token, State: s.Status(),
		Final: s.State.Final(), Watching: s.End == watch.Watching, CreatedAt: s.Created, ChangedAt: s.Changed,
	}
	if shown.Watching {
		shown.Deadline = s.Deadline
	}
	return shown
}

// polling is how a session is polled, nil if nobody says.
func (m *management) polling(ctx context.Context, id string) *api.Watch {
	p, err := m.Sessions.Polling(ctx, id)
	if err != nil {
		return nil
	}
	return &api.Watch{LastPollAt: p.Last, NextPollAt: p.Next, Failures: p.Failures, LastFailure: p.Failure, NotBefore: p.NotBefore}
}

// listedSession is the session for lists, which show no whole token.
func listedSession(s watch.Session) api.Session {
	const most = 8
	if len(s.Token) > most {
		s.Token = s.Token[:most] + "…"
	}
	return shownSession(s)
}

// SessionPath is the path of a session. Huma sees exported types only.
type SessionPath struct {
	ID string `path:"id" pattern:"^ses_[0-9A-Za-z_-]{1,64}$" patternDescription:"the id of a session, ses_…"`
}

func (m *management) registerSessions(h huma.API) {
	type output struct {
		Status   int
		Location string `header:"Location" doc:"The path of the session."`
		Body     api.RegisteredSession
	}
	register := operation(http.MethodPost, "/v1/sessions", "register-session", tagSessions, "Watch a session",
		"Answers 201 for a session that was not known and 200 for one that was, so the call can be repeated.", http.StatusCreated, 409, 413, 415)
	register.Responses = map[string]*huma.Response{"200": {Description: "The session was already known."}}
	register = checked(register, func(r request) error {
		_, err := m.checkSession(readableSession(r.body))
		return err
	})
	route(m, h, register, "body", func(ctx context.Context, in *answered[api.NewSession]) (*output, error) {
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
		State string `query:"state" enum:"abandoned,unknown,pending,succeeded,refused,expired,failed,not_found" doc:"Only sessions in this state."`
	}
	list := operation(http.MethodGet, "/v1/sessions", "list-sessions", tagSessions, "List sessions", "Most recently changed first. A page may be shorter than its limit, or even empty, and still have a next.", http.StatusOK)
	list = checked(list, func(r request) error {
		_, err := PageParams{Cursor: r.query.Get("cursor")}.before()
		return err
	})
	route(m, h, list,
		inList, func(ctx context.Context, in *filter) (*answered[api.List[api.Session]], error) {
			before, err := in.before()
			if err != nil {
				return nil, err
			}
			found, next, err := m.Sessions.List(ctx, in.State, before, in.Limit)
			return &answered[api.List[api.Session]]{listOf(found, listedSession, ofSessions, revision(next))}, err
		})
	route(m, h, operation(http.MethodGet, "/v1/sessions/{id}", "get-session", tagSessions, "Get a session", "", http.StatusOK, 404),
		"path", func(ctx context.Context, in *SessionPath) (*answered[api.Session], error) {
			found, err := m.Sessions.Get(ctx, in.ID)
			shown := shownSession(found)
			if err == nil && shown.Watching {
				shown.Watch = m.polling(ctx, in.ID)
			}
			return &answered[api.Session]{shown}, err
		})
	route(m, h, operation(http.MethodGet, "/v1/sessions/{id}/events", "list-session-events", tagSessions, "List the events of a session",
		"They are stored for longer than the session itself.", http.StatusOK, 404),
		"path", func(ctx context.Context, in *SessionPath) (*answered[api.SessionEvents], error) {
			found, err := m.Services.Events.EventsOf(ctx, in.ID)
			if err == nil && len(found) == 0 { // not yet, or there is no such session
				_, err = m.Sessions.Get(ctx, in.ID)
			}
			shown := api.SessionEvents{Items: make([]api.Event, len(found))}
			for i := range found {
				shown.Items[i] = shownEvent(found[i])
			}
			return &answered[api.SessionEvents]{shown}, err
		})
	route(m, h, operation(http.MethodDelete, "/v1/sessions/{id}", "delete-session", tagSessions, "Forget a session",
		"Stops watching it and erases its token, credential, answers, events and deliveries.", http.StatusNoContent, 404),
		"path", func(ctx context.Context, in *SessionPath) (*struct{}, error) {
			return nil, m.Sessions.Delete(ctx, in.ID)
		})
	m.registerResponse(h)
}

// watchSession has a session watched, and known reports whether it was. The webhook
// comes first: its URL is what is most likely wrong, and then nothing has happened yet.
func (m *management) watchSession(ctx context.Context, n api.NewSession) (made api.RegisteredSession, known bool, err error) {
	v, err := m.checkSession(n)
	if err != nil {
		return made, false, err
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

func (m *management) attach(ctx context.Context, subject event.Subject, w api.SessionWebhook) (*api.RegisteredWebhook, error) {
	s, err := m.Subscriptions.Attach(ctx, subject, webhook.AttachOptions(w))
	return &api.RegisteredWebhook{Subscription: s.ID, Secret: s.Secret, PublicKey: s.PublicKey}, below("webhook", err)
}

// detach takes back a webhook that was made just now, so that whoever tries again is
// told its secret. Others end by themselves.
func (m *management) detach(ctx context.Context, w *api.RegisteredWebhook) {
	if w == nil || w.Secret == "" {
		return
	}
	if err := m.Subscriptions.Delete(context.WithoutCancel(ctx), w.Subscription); err != nil {
		m.log.Warn("cannot remove the webhook of a session that could not be watched", "subscription", w.Subscription, "error", err)
	}
}

// checkSession returns what n is about, or what is wrong with each of its fields.
func (m *management) checkSession(n api.NewSession) (*session.Variant, error) {
	v, err := m.Table.Variant(n.Endpoint, n.Token, n.AccessToken, n.Locale)
	if w := n.Webhook; w != nil {
		err = errors.Join(err, below("webhook", m.Subscriptions.Check(webhook.Subscription{
			URL: w.URL, Secret: w.Secret, Events: w.Events, Headers: w.Headers, Signature: w.Signature,
		})))
	}
	return v, err
}

// readableSession is what can be read of a body.
func readableSession(body []byte) api.NewSession {
	n := readable[api.NewSession](body)
	nested := readable[struct {
		Webhook jsontext.Value `json:"webhook"`
	}](body).Webhook
	if nested.Kind() == '{' {
		n.Webhook = new(readable[api.SessionWebhook](nested))
		n.Webhook.Headers = readableHeaders(nested)
	}
	return n
}

// revision is where a page of sessions ends, as a position of a cursor.
func revision(before uint64) string {
	if before == 0 {
		return ""
	}
	return strconv.FormatUint(before, 36)
}

// before is where a page of sessions begins.
func (p PageParams) before() (uint64, error) {
	text, err := p.after(ofSessions)
	if text == "" || err != nil {
		return 0, err
	}
	before, err := strconv.ParseUint(text, 36, 64)
	if err != nil || before == 0 {
		return 0, badCursor("query.cursor")
	}
	return before, nil
}

func (m *management) registerResponse(h huma.API) {
	op := operation(http.MethodGet, "/v1/sessions/{id}/response", "get-response", tagSessions, "Get the final answer",
		"The upstream's answer, byte for byte, including the signed document, with its content type. The status is 200 whatever the upstream's was. "+
			"404 while there is no final answer, and after it was forgotten: the detail tells which.", http.StatusOK, 404)
	op.Responses = map[string]*huma.Response{"200": {
		Description: "The answer.",
		Content:     map[string]*huma.MediaType{"*/*": {Schema: &huma.Schema{Description: "As the upstream sent it, usually JSON."}}},
		Headers: map[string]*huma.Param{api.HeaderUpstreamStatus: {
			Description: "The status of the upstream's answer.", Schema: &huma.Schema{Type: huma.TypeInteger}, Required: true,
		}},
	}}
	route(m, h, op, "path", func(ctx context.Context, in *SessionPath) (*huma.StreamResponse, error) {
		var o *session.Observation
		sent, err := m.unsent.final(ctx, func() (body []byte, err error) {
			if o, err = m.answer(ctx, in.ID); err != nil {
				return nil, err
			}
			return o.Body, nil
		})
		if err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(ctx huma.Context) { writeAnswer(humafiber.Unwrap(ctx), o, sent) }}, nil
	})
}

// answer returns the final answer with which a session has ended, or says why there is none.
func (m *management) answer(ctx context.Context, id string) (*session.Observation, error) {
	known, err := m.Sessions.Get(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case known.End == watch.Watching:
		return nil, newProblem(http.StatusNotFound, "the session is "+known.Status()+": there is no final answer yet")
	case known.End != watch.Final:
		return nil, newProblem(http.StatusNotFound, "the session is "+known.Status()+": there is no final answer")
	}
	o, err := m.Answers.Of(ctx, id, known.Changed)
	if isNotFound(err) {
		return nil, newProblem(http.StatusNotFound, "the session is "+known.Status()+", but its final answer is not stored, or no longer")
	}
	return o, err
}

func writeAnswer(c *fiber.Ctx, o *session.Observation, sent func()) {
	c.Status(http.StatusOK)
	c.Set(fiber.HeaderContentSecurityPolicy, "sandbox; default-src 'none'") // a browser shows what the upstream sent
	c.Set(api.HeaderUpstreamStatus, strconv.Itoa(o.Status))
	c.Response().Header.SetNoDefaultContentType(true)
	for _, field := range o.Header {
		switch name := string(field.Name); {
		case strings.EqualFold(name, fiber.HeaderContentType), strings.EqualFold(name, fiber.HeaderContentEncoding),
			strings.EqualFold(name, fiber.HeaderContentLanguage):
			c.Set(name, string(field.Value))
		}
	}
	setUnsent(c, o.Body, sent)
}
