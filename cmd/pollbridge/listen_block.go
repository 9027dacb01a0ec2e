package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"pollbridge/session"

	"github.com/dustin/go-humanize/english"
)

// notice is what a block shows of a webhook's body. All of it comes from outside and
// is shown by plain.
type notice struct {
	Type string `json:"type"`
	Data struct {
		Session       string    `json:"session"`
		Endpoint      string    `json:"endpoint"`
		Locale        string    `json:"locale"`
		Token         string    `json:"token"`
		Sequence      int       `json:"sequence"`
		State         string    `json:"state"`
		PreviousState string    `json:"previous_state"`
		Final         bool      `json:"final"`
		ObservedAt    time.Time `json:"observed_at"`
		HTTPStatus    int       `json:"http_status"`
		ErrorCode     int       `json:"error_code"`
		Message       string    `json:"message"`
		FileOmitted   bool      `json:"file_omitted"`
		Subscription  string    `json:"subscription"`
		Reason        string    `json:"reason"`
	} `json:"data"`
}

const clock = "15:04:05.000"

// webhookBlock is what is printed for one webhook.
func webhookBlock(in *incoming, colour bool) string {
	var n notice
	unreadable := json.Unmarshal(in.body, &n) != nil
	size := english.Plural(len(in.body), "byte", "")
	verdict, paint := "verified, "+in.by, "\x1b[32m"
	if in.problem != "" {
		verdict, paint = "NOT VERIFIED", "\x1b[31m"
	}
	if colour {
		verdict = paint + verdict + "\x1b[0m"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %-20s  %s\n", in.at.Format(clock), cmp.Or(plain(n.Type), "not an event"), verdict)
	line := func(name string, parts ...string) {
		if text := listed(parts...); text != "" {
			fmt.Fprintf(&b, "    %-9s %s\n", name, text)
		}
	}
	line("because", in.problem)
	if unreadable {
		line("body", size, "not an event: "+plain(string(in.body)))
	}
	data := n.Data
	line("session", plain(data.Session), plain(data.Endpoint), plain(data.Locale), unlessZero("token %s…", plain(session.ShortToken(data.Token))))
	if data.State != "" {
		line("state", cmp.Or(plain(data.PreviousState), "(new)")+" -> "+plain(data.State), onlyIf(data.Final, "final"), unlessZero("sequence %d", data.Sequence))
	}
	if answer := listed(unlessZero("HTTP %d", data.HTTPStatus), unlessZero("code %d", data.ErrorCode), plain(data.Message),
		onlyIf(data.FileOmitted, "without its document")); answer != "" {
		line("answer", answer, size+" in all")
	}
	line("about", plain(data.Subscription), plain(data.Reason))
	id := plain(in.id)
	if in.seen.attempts > 1 { // a receiver acts on each id once
		id += fmt.Sprintf(", SEEN BEFORE: attempt %d, the first came at %s", in.seen.attempts, in.seen.first.Format(clock))
	}
	line("id", id)
	line("answered", fmt.Sprint(in.status))
	if !data.ObservedAt.IsZero() {
		line("delay", fmt.Sprintf("%s since the state was observed", toMillisecond(in.at.Sub(data.ObservedAt))))
	}
	return b.String() + "\n"
}

// listed joins what there is by commas.
func listed(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(text string) bool { return text == "" }), ", ")
}

func unlessZero[T comparable](format string, v T) string {
	var zero T
	return onlyIf(v != zero, fmt.Sprintf(format, v))
}

func onlyIf(is bool, text string) string {
	if !is {
		return ""
	}
	return text
}

// plain is text from outside that may be shown: no line of it is long, and none can
// move the cursor or change what was printed before.
func plain(text string) string {
	const most = 200
	cut := ""
	if len(text) > most {
		text, cut = string(bytes.ToValidUTF8([]byte(text[:most]), nil)), "…"
	}
	return printable(text) + cut
}
