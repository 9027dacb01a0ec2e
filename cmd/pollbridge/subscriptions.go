package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pollbridge/admin/api"
	"pollbridge/internal/check"

	"github.com/dustin/go-humanize/english"
)

type subscriptionsCmd struct {
	List         subscriptionsListCmd    `cmd:"" help:"List subscriptions, newest first."`
	Create       subscriptionsCreateCmd  `cmd:"" help:"Create a subscription. Its secret is shown once, here."`
	Show         subscriptionsShowCmd    `cmd:"" help:"Show a subscription."`
	Update       subscriptionsUpdateCmd  `cmd:"" help:"Change what is named; an empty value, as in --events=, takes a filter away."`
	Enable       subscriptionsEnableCmd  `cmd:"" help:"Send events again. What was missed: recover."`
	Disable      subscriptionsDisableCmd `cmd:"" help:"Send nothing until it is enabled."`
	Delete       subscriptionsDeleteCmd  `cmd:"" help:"Delete a subscription. What waits for it is dead."`
	Test         subscriptionsTestCmd    `cmd:"" help:"Send webhook.test and show the attempt; fails if that failed."`
	RotateSecret subscriptionsRotateCmd  `cmd:"" help:"Make a new secret, shown once, here. The old one signs too for 24 hours."`
	Recover      subscriptionsRecoverCmd `cmd:"" help:"Deliver again what is dead, and what came while it was disabled."`
}

// subscriptionArg is the argument of what is done to a subscription.
type subscriptionArg struct {
	ID string `arg:"" name:"id" complete:"subscriptions" help:"Id of a subscription, sub_…"`
}

type subscriptionsListCmd struct {
	remote
	limitFlag
}

// Run lists subscriptions.
func (c *subscriptionsListCmd) Run(ctx context.Context, s *streams) error {
	return c.call(s, func(b *server, p printer) error {
		return show(ctx, watchFlags{}, b, p, view[api.Subscription]{
			look: func(ctx context.Context) ([]api.Subscription, bool, error) {
				return pages(ctx, c.Limit, b.Subscriptions)
			},
			table: subscriptionsTable,
		})
	})
}

func subscriptionsTable(all []api.Subscription) table {
	t := table{
		head:  []string{"ID", "STATE", "URL", "EVENTS", "ONLY", "CREATED"},
		empty: "There are no subscriptions. pollbridge subscriptions create URL makes one.",
	}
	for _, s := range all {
		t.rows = append(t.rows, []string{s.ID, subscriptionState(s), short(s.URL, 60), short(wantedEvents(s.Events), 40), short(onlyFor(s), 40), ago(s.CreatedAt)})
	}
	return t
}

func subscriptionState(s api.Subscription) string {
	switch {
	case !s.Enabled:
		return "disabled"
	case !s.FailingSince.IsZero():
		return "failing"
	default:
		return "enabled"
	}
}

func wantedEvents(events []string) string {
	if len(events) == 0 {
		return "all of sessions"
	}
	return strings.Join(events, ", ")
}

// onlyFor is what restricts the sessions of a subscription.
func onlyFor(s api.Subscription) string {
	return listed(s.Session, strings.Join(s.Endpoints, ", "), unlessZero("account %s", s.Account))
}

func subscriptionFields(s api.Subscription) (t table) {
	t.field("id", s.ID)
	t.field("url", s.URL)
	t.field("state", listed(subscriptionState(s), s.DisabledReason))
	t.field("disabled", at(s.DisabledAt))
	t.field("failing since", at(s.FailingSince))
	t.field("description", s.Description)
	t.field("events", wantedEvents(s.Events))
	t.field("only", onlyFor(s))
	t.field("include file", yesNo(s.IncludeFile))
	t.field("headers", strings.Join(slices.Sorted(maps.Keys(s.Headers)), ", "))
	t.field("signature", s.Signature)
	t.field("public key", s.PublicKey)
	t.field("old secret until", at(s.OldSecretUntil))
	if o := s.Outcomes; o != nil {
		t.field("attempts in 24 hours", onlyIf(o.Attempts > 0, fmt.Sprintf("%d, %d %% succeeded", o.Attempts, 100*o.Succeeded/max(1, o.Attempts))))
		t.field("deliveries waiting", fmt.Sprint(o.Waiting))
		t.field("last error", listed(o.LastError, at(o.LastErrorAt)))
	}
	t.field("created", at(s.CreatedAt))
	t.field("updated", at(s.UpdatedAt))
	return t
}

type subscriptionsShowCmd struct {
	subscriptionArg
	remote
}

// Run shows a subscription.
func (c *subscriptionsShowCmd) Run(ctx context.Context, s *streams) error {
	return c.call(s, func(b *server, p printer) error {
		found, err := b.Subscription(ctx, c.ID)
		if err != nil {
			return err
		}
		return p.object(found, subscriptionFields(found))
	})
}

// subscriptionFlags are what a subscription is made of. A flag that is not given says
// nothing.
type subscriptionFlags struct {
	Events      *string `placeholder:"TYPE,…" help:"Only these events, such as session.succeeded. Left out: all of sessions."`
	Endpoints   *string `placeholder:"NAME,…" help:"Only sessions of these endpoints."`
	AccountFile *string `placeholder:"FILE" help:"File with an access token, - for standard input: only its sessions."`
	Session     *string `placeholder:"ID" help:"Only this session, ses_…"`
	IncludeFile *bool   `negatable:"" help:"Send the signed document, too."`
	Description *string `placeholder:"TEXT" help:"A note for people."`
	HeadersFile *string `placeholder:"FILE" help:"File with headers to send, NAME: VALUE in each line, - for standard input."`
	Signature   *string `placeholder:"v1|v1a" complete:"v1,v1a" help:"v1a adds an ed25519 signature."`
}

// secrets reads what is in files. An empty name is none.
func (f subscriptionFlags) secrets(s *streams) (account string, headers map[string]string, err error) {
	if given(f.AccountFile) != "" {
		if account, err = readSecret(s.in, "--account-file", *f.AccountFile); err != nil {
			return "", nil, err
		}
	}
	if given(f.HeadersFile) != "" {
		headers, err = readHeaders(s.in, "--headers-file", *f.HeadersFile)
	}
	return account, headers, err
}

// given is the value of a flag, or the zero value.
func given[T any](flag *T) (value T) {
	if flag != nil {
		value = *flag
	}
	return value
}

// items are those of a list that is written A,B.
func items(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

type subscriptionsCreateCmd struct {
	URL string `arg:"" name:"url" help:"Where events are sent."`
	subscriptionFlags
	Disabled bool `help:"Send nothing until it is enabled."`
	remote
}

// Run creates a subscription and shows its secret.
func (c *subscriptionsCreateCmd) Run(ctx context.Context, s *streams) error {
	account, headers, err := c.secrets(s)
	if err != nil {
		return err
	}
	return c.call(s, func(b *server, p printer) error {
		made, err := b.CreateSubscription(ctx, api.NewSubscription{
			URL: c.URL, Events: items(given(c.Events)), Endpoints: items(given(c.Endpoints)), Account: account, Session: given(c.Session),
			IncludeFile: given(c.IncludeFile), Description: given(c.Description), Headers: headers, Signature: given(c.Signature), Enabled: new(!c.Disabled),
		})
		if err != nil {
			return err
		}
		return p.object(made, withSecret(made))
	})
}

func withSecret(s api.SubscriptionWithSecret) table {
	t := subscriptionFields(s.Subscription)
	t.field("secret", s.Secret+"  (shown only now)")
	return t
}

type subscriptionsUpdateCmd struct {
	subscriptionArg
	URL *string `name:"url" placeholder:"URL" help:"Where events are sent."`
	subscriptionFlags
	remote
}

// Run changes what flags name.
func (c *subscriptionsUpdateCmd) Run(ctx context.Context, s *streams) error {
	account, headers, err := c.secrets(s)
	if err != nil {
		return err
	}
	patch := api.SubscriptionPatch{
		URL: c.URL, Events: changed(c.Events, items(given(c.Events))), Endpoints: changed(c.Endpoints, items(given(c.Endpoints))),
		Account: changed(c.AccountFile, account), Session: changed(c.Session, given(c.Session)), Description: changed(c.Description, given(c.Description)),
		Headers: changed(c.HeadersFile, headers), Signature: changed(c.Signature, given(c.Signature)),
	}
	if c.IncludeFile != nil {
		patch.IncludeFile = api.Set(*c.IncludeFile)
	}
	if c.URL == nil && c.IncludeFile == nil && c.subscriptionFlags == (subscriptionFlags{}) {
		return check.Mistake{Problem: "nothing to change was given, such as --url or --events"}
	}
	return c.update(ctx, s, &c.remote, patch)
}

// changed is a field as a flag changes it: an empty one takes it away.
func changed[T any](flag *string, value T) api.Optional[T] {
	switch {
	case flag == nil:
		return api.Optional[T]{}
	case *flag == "":
		return api.Null[T]()
	default:
		return api.Set(value)
	}
}

func (c *subscriptionArg) update(ctx context.Context, s *streams, r *remote, patch api.SubscriptionPatch) error {
	return r.call(s, func(b *server, p printer) error {
		now, err := b.UpdateSubscription(ctx, c.ID, patch)
		if err != nil {
			return err
		}
		return p.object(now, subscriptionFields(now))
	})
}

type subscriptionsEnableCmd struct {
	subscriptionArg
	remote
}

// Run enables a subscription.
func (c *subscriptionsEnableCmd) Run(ctx context.Context, s *streams) error {
	return c.update(ctx, s, &c.remote, api.SubscriptionPatch{Enabled: new(true)})
}

type subscriptionsDisableCmd struct {
	subscriptionArg
	remote
}

// Run disables a subscription.
func (c *subscriptionsDisableCmd) Run(ctx context.Context, s *streams) error {
	return c.update(ctx, s, &c.remote, api.SubscriptionPatch{Enabled: new(false)})
}

type subscriptionsDeleteCmd struct {
	subscriptionArg
	remote
}

// Run deletes a subscription.
func (c *subscriptionsDeleteCmd) Run(ctx context.Context, s *streams) error {
	return c.call(s, func(b *server, p printer) error {
		if err := b.DeleteSubscription(ctx, c.ID); err != nil {
			return err
		}
		return p.say("Deleted " + c.ID + "\n")
	})
}

type subscriptionsTestCmd struct {
	subscriptionArg
	remote
}

// Run sends webhook.test. It fails if the receiver did not take it.
func (c *subscriptionsTestCmd) Run(ctx context.Context, s *streams) error {
	return c.call(s, func(b *server, p printer) error {
		attempt, err := b.TestSubscription(ctx, c.ID)
		if err != nil {
			return err
		}
		var t table
		t.field("outcome", outcome(attempt))
		t.field("took", took(attempt))
		t.field("detail", attempt.Detail)
		t.field("answer", short(attempt.Answer, 200))
		if err := p.object(attempt, t); err != nil {
			return err
		}
		if !attempt.Success {
			return fmt.Errorf("the receiver did not take webhook.test: %s", printable(cmp.Or(attempt.Detail, outcome(attempt))))
		}
		return nil
	})
}

type subscriptionsRotateCmd struct {
	subscriptionArg
	remote
}

// Run makes a new secret and shows it.
func (c *subscriptionsRotateCmd) Run(ctx context.Context, s *streams) error {
	return c.call(s, func(b *server, p printer) error {
		rotated, err := b.RotateSecret(ctx, c.ID)
		if err != nil {
			return err
		}
		return p.object(rotated, withSecret(rotated))
	})
}

type subscriptionsRecoverCmd struct {
	subscriptionArg
	Since        moment `required:"" placeholder:"24h" help:"Events since this time: so long ago, as 24h or 7d, or a time such as 2026-11-23T08:15:30Z."`
	ContinueFrom string `placeholder:"CURSOR" help:"Where an interrupted recovery ended, as it said."`
	remote
}

// Run calls the bridge until nothing is left to recover.
func (c *subscriptionsRecoverCmd) Run(ctx context.Context, s *streams) error {
	return c.call(s, func(b *server, p printer) error {
		all, since := api.Recovered{ContinueFrom: c.ContinueFrom}, c.Since.Time()
		for {
			part, err := b.RecoverSubscription(ctx, c.ID, api.Recover{Since: since, ContinueFrom: all.ContinueFrom})
			if err != nil {
				if all.ContinueFrom != "" {
					fmt.Fprintf(p.errOut, "%s so far; go on with --since %s --continue-from %s\n",
						begun(all), since.UTC().Format(time.RFC3339Nano), printable(all.ContinueFrom))
				}
				return err
			}
			all = api.Recovered{Redelivered: all.Redelivered + part.Redelivered, ContinueFrom: part.ContinueFrom}
			if part.ContinueFrom == "" {
				break
			}
			fmt.Fprintln(p.errOut, begun(all), "so far")
		}
		if p.json {
			return writeJSON(p.out, all)
		}
		return p.say(begun(all) + " begun again; pollbridge deliveries list --subscription " + c.ID + " shows them\n")
	})
}

func begun(r api.Recovered) string { return english.Plural(r.Redelivered, "delivery", "deliveries") }
