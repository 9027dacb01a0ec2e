package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"pollbridge/session"
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

// webhookBlock is what is printed for one webhook.
func webhookBlock(in *incoming, colour bool) string {
	var n notice
	unreadable := json.Unmarshal(in.body, &n) != nil
	var b strings.Builder
	verdict := "verified, " + in.by
	paint := "\x1b[32m"
	if in.problem != "" {
		verdict, paint = "NOT VERIFIED", "\x1b[31m"
	}
	if colour {
		verdict = paint + verdict + "\x1b[0m"
	}
	fmt.Fprintf(&b, "%s  %-20s  %s\n", in.at.Format("15:04:05.000"), cmp.Or(plain(n.Type), "not an event"), verdict)
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "    %-9s %s\n", name, text)
		}
	}
	line("because", in.problem)
	if unreadable {
		line("body", fmt.Sprintf("%s, not an event: %s", counted(int64(len(in.body)), "byte"), plain(string(in.body))))
	}
	line("session", n.session())
	line("state", n.state())
	line("answer", n.answer(len(in.body)))
	line("about", listed(plain(n.Data.Subscription), plain(n.Data.Reason)))
	line("id", in.attempt())
	line("answered", fmt.Sprint(in.status))
	if delay := in.delay(n.Data.ObservedAt); delay != "" {
		line("delay", delay)
	}
	b.WriteByte('\n')
	return b.String()
}

func (n *notice) session() string {
	if n.Data.Session == "" {
		return ""
	}
	token := ""
	if n.Data.Token != "" {
		token = "token " + plain(session.ShortToken(n.Data.Token)) + "…"
	}
	return listed(plain(n.Data.Session), plain(n.Data.Endpoint), plain(n.Data.Locale), token)
}

func (n *notice) state() string {
	if n.Data.State == "" {
		return ""
	}
	final, sequence := "", ""
	if n.Data.Final {
		final = "final"
	}
	if n.Data.Sequence > 0 {
		sequence = fmt.Sprint("sequence ", n.Data.Sequence)
	}
	return listed(cmp.Or(plain(n.Data.PreviousState), "(new)")+" -> "+plain(n.Data.State), final, sequence)
}

func (n *notice) answer(size int) string {
	status, code, file := "", "", ""
	if n.Data.HTTPStatus != 0 {
		status = fmt.Sprint("HTTP ", n.Data.HTTPStatus)
	}
	if n.Data.ErrorCode != 0 {
		code = fmt.Sprint("code ", n.Data.ErrorCode)
	}
	if n.Data.FileOmitted {
		file = "without its document"
	}
	if text := listed(status, code, plain(n.Data.Message), file); text != "" {
		return listed(text, counted(int64(size), "byte")+" in all")
	}
	return ""
}

// attempt tells whether this webhook came before: a receiver acts on each id once.
func (in *incoming) attempt() string {
	if in.id == "" {
		return ""
	}
	if in.before == nil {
		return plain(in.id)
	}
	return fmt.Sprintf("%s, SEEN BEFORE: attempt %d, the first came at %s", plain(in.id), in.before.attempts, in.before.first.Format("15:04:05.000"))
}

func (in *incoming) delay(observed time.Time) string {
	if observed.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s since the state was observed", toMillisecond(in.at.Sub(observed)))
}

// listed joins what there is by commas.
func listed(texts ...string) string {
	var there []string
	for _, text := range texts {
		if text != "" {
			there = append(there, text)
		}
	}
	return strings.Join(there, ", ")
}

// plain is text from outside that may be shown: no line of it is long, and none can
// move the cursor or change what was printed before.
func plain(text string) string {
	const most = 200
	cut := ""
	if len(text) > most {
		text, cut = string(bytes.ToValidUTF8([]byte(text[:most]), nil)), "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, text) + cut
}
