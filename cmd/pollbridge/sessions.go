package main

import (
	"context"
	"fmt"
	"os"

	"pollbridge/admin/api"
	"pollbridge/config"
	"pollbridge/internal/check"
	"pollbridge/session"
)

type sessionsCmd struct {
	List   sessionsListCmd   `cmd:"" help:"List sessions, the most recently changed first."`
	Show   sessionsShowCmd   `cmd:"" help:"Show a session."`
	Watch  sessionsWatchCmd  `cmd:"" help:"Have a session polled in the background until it ends."`
	Forget sessionsForgetCmd `cmd:"" help:"Stop watching a session and erase all that is kept of it, its deliveries included."`
}

type sessionsListCmd struct {
	State string `placeholder:"STATE" complete:"pending,succeeded,refused,expired,failed,not_found,abandoned,unknown" help:"Only sessions in this state."`
	limitFlag
	watchFlags
	remote
}

// Run lists sessions.
func (c *sessionsListCmd) Run(ctx context.Context, s *streams) error {
	return c.call(s, func(b *server, p printer) error {
		return show(ctx, c.watchFlags, b, p, view[api.Session]{
			look: func(ctx context.Context) ([]api.Session, bool, error) {
				return pages(ctx, c.Limit, func(ctx context.Context, page api.Page) (api.List[api.Session], error) {
					return b.Sessions(ctx, c.State, page)
				})
			},
			table: sessionsTable,
			id:    func(s api.Session) string { return s.ID },
		})
	})
}

func sessionsTable(all []api.Session) table {
	t := table{
		head:  []string{"ID", "STATE", "ENDPOINT", "TOKEN", "WATCHED", "CHANGED", "FIRST SEEN"},
		empty: "There are no such sessions. One is made by a request that a subscription covers, and by pollbridge sessions watch.",
	}
	for _, s := range all {
		t.rows = append(t.rows, []string{s.ID, s.State, s.Endpoint, s.Token, yesNo(s.Watching), ago(s.ChangedAt), ago(s.CreatedAt)})
	}
	return t
}

func sessionFields(s api.Session) (t table) {
	t.field("id", s.ID)
	t.field("state", listed(s.State, onlyIf(s.Final, "final")))
	t.field("endpoint", s.Endpoint)
	t.field("locale", s.Locale)
	t.field("token", session.ShortToken(s.Token)+"…")
	t.field("account", s.Account)
	t.field("watched", yesNo(s.Watching))
	t.field("until", at(s.Deadline))
	if w := s.Watch; w != nil {
		t.field("last poll", at(w.LastPollAt))
		t.field("next poll", at(w.NextPollAt))
		t.field("failures", onlyIf(w.Failures > 0, fmt.Sprintf("%d in a row, %s", w.Failures, w.LastFailure)))
		t.field("held back until", at(w.NotBefore))
	}
	t.field("changed", at(s.ChangedAt))
	t.field("first seen", at(s.CreatedAt))
	return t
}

// sessionArg is the argument of what is done to a session.
type sessionArg struct {
	ID string `arg:"" name:"id" help:"Id of a session, ses_…"`
}

type sessionsWatchCmd struct {
	Endpoint        string  `arg:"" name:"endpoint" help:"Name of the endpoint to poll, such as smartid-sign."`
	Token           string  `arg:"" name:"token" help:"Token that the start call returned."`
	AccessTokenFile *string `placeholder:"FILE" help:"File with the credential to poll with, - for standard input. Left out: POLLBRIDGE_ACCESS_TOKEN."`
	Locale          string  `placeholder:"en" help:"Language to poll in."`
	Webhook         string  `placeholder:"URL" help:"Where the events of this session are sent. The secret is shown once, here."`
	Events          string  `placeholder:"TYPE,…" help:"Only these events, with --webhook."`
	SecretFile      *string `placeholder:"FILE" help:"File with the secret that signs, whsec_…, - for standard input, with --webhook. Left out: one is made."`
	HeadersFile     *string `placeholder:"FILE" help:"File with headers to send, NAME: VALUE in each line, with --webhook."`
	IncludeFile     bool    `help:"Send the signed document, too, with --webhook."`
	Signature       string  `placeholder:"v1|v1a" complete:"v1,v1a" help:"v1a adds an ed25519 signature, with --webhook."`
	remote
}

// Run has a session watched, and shows the secret of its webhook if one was made.
func (c *sessionsWatchCmd) Run(ctx context.Context, s *streams) error {
	n := api.NewSession{Endpoint: c.Endpoint, Token: c.Token, Locale: c.Locale}
	var err error
	if n.AccessToken, err = c.credential(s); err != nil {
		return err
	}
	if n.Webhook, err = c.webhook(s); err != nil {
		return err
	}
	return c.call(s, func(b *server, p printer) error {
		made, _, err := b.RegisterSession(ctx, n)
		if err != nil {
			return err
		}
		t := sessionFields(made.Session)
		if w := made.Webhook; w != nil {
			t.field("subscription", w.Subscription)
			t.field("public key", w.PublicKey)
			t.field("secret", unlessZero("%s  (shown only now)", w.Secret))
		}
		return p.object(made, t)
	})
}

// credential is taken from no argument: those show in the list of processes.
func (c *sessionsWatchCmd) credential(s *streams) (string, error) {
	if c.AccessTokenFile != nil {
		return readSecret(s.in, "--access-token-file", *c.AccessTokenFile)
	}
	if token := os.Getenv(config.AccessToken); token != "" {
		return secretLine(config.AccessToken, token)
	}
	return "", check.Mistake{Key: "--access-token-file", Problem: "is needed, or " + config.AccessToken + ": the credential that the upstream wants with a poll"}
}

func (c *sessionsWatchCmd) webhook(s *streams) (*api.SessionWebhook, error) {
	if c.Webhook == "" {
		if c.Events != "" || c.SecretFile != nil || c.HeadersFile != nil || c.IncludeFile || c.Signature != "" {
			return nil, check.Mistake{Key: "--webhook", Problem: "is needed with --events, --secret-file, --headers-file, --include-file and --signature"}
		}
		return nil, nil
	}
	w := &api.SessionWebhook{URL: c.Webhook, Events: items(c.Events), IncludeFile: c.IncludeFile, Signature: c.Signature}
	var err error
	if c.SecretFile != nil {
		if w.Secret, err = readSecret(s.in, "--secret-file", *c.SecretFile); err != nil {
			return nil, err
		}
	}
	if c.HeadersFile != nil {
		w.Headers, err = readHeaders(s.in, "--headers-file", *c.HeadersFile)
	}
	return w, err
}

type sessionsForgetCmd struct {
	sessionArg
	remote
}

// Run erases a session.
func (c *sessionsForgetCmd) Run(ctx context.Context, s *streams) error {
	return c.call(s, func(b *server, p printer) error {
		if err := b.DeleteSession(ctx, c.ID); err != nil {
			return err
		}
		return p.say("Forgot " + c.ID + "\n")
	})
}
