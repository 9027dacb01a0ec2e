package main

import (
	"errors"
	"io"
	"net/http"

	"pollbridge/admin/api"
	"pollbridge/internal/check"
)

// operateCommands are those that talk to a running bridge, by its management API.
type operateCommands struct {
	Subscriptions subscriptionsCmd `cmd:"" group:"Operate a running bridge:" help:"Webhooks: list, create, show, update, enable, disable, delete, test, rotate-secret, recover."`
	Sessions      sessionsCmd      `cmd:"" group:"Operate a running bridge:" help:"Signings: list, show, watch, forget."`
	Deliveries    deliveriesCmd    `cmd:"" group:"Operate a running bridge:" help:"What was and will be sent to webhooks: list, show, redeliver."`
	Events        eventsCmd        `cmd:"" group:"Operate a running bridge:" help:"What happens: tail."`
	Stats         statsCmd         `cmd:"" group:"Operate a running bridge:" help:"Polls saved, sessions, deliveries, in figures."`
	Completion    completionCmd    `cmd:"" group:"Operate a running bridge:" help:"Print the script with which a shell completes commands, flags and ids."`
	Complete      completeCmd      `cmd:"" hidden:"" help:"Print what may stand next: what the scripts of completion ask."`
}

// streams are what a command reads and writes.
type streams struct {
	in          *input
	out, errOut io.Writer
}

// exitCode tells whether it would help to try again: not where the command line is wrong,
// nor where the bridge has refused what it was asked for.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	if _, misused := errors.AsType[check.Mistake](err); misused {
		return exitMisused
	}
	if refused(err) {
		return exitRefused
	}
	return exitFailed
}

// refused reports whether a bridge has answered, and would answer the same again. What
// something else has answered comes without a detail.
func refused(err error) bool {
	problem, ok := errors.AsType[*api.Problem](err)
	return ok && problem.Detail != "" && problem.Status < http.StatusInternalServerError && problem.Status != http.StatusTooManyRequests
}
