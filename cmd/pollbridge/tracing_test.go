package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pollbridge/admin/api"
	"pollbridge/internal/testkit"
	"pollbridge/internal/testkit/collector"
)

// traced is a program that sends its spans to a collector, before an upstream and a receiver.
type traced struct {
	*process
	collector *collector.Collector
	upstream  *testkit.Upstream
	receiver  *testkit.Receiver
	signed    atomic.Bool
	manage    *api.Client
}

const tracedHook = "/hook-sesame-5?key=sesame-6"

func launchTraced(t *testing.T, endpoint func(*collector.Collector) string, env ...string) *traced {
	t.Helper()
	p := &traced{collector: collector.New(t), receiver: testkit.NewReceiver(t, nil)}
	p.upstream = testkit.NewUpstream(t, func(w http.ResponseWriter, r *http.Request, _ string) {
		switch {
		case r.URL.Path == "/smartid/sign.json":
			testkit.Respond(w, 200, `{"status":"ok","token":"`+someToken+`"}`)
		case strings.Contains(r.URL.Path, "/status/") && p.signed.Load():
			testkit.Respond(w, 200, `{"status":"ok","file":{"name":"sesame-7.pdf","content":"c2VzYW1l"}}`)
		default:
			testkit.Respond(w, 200, testkit.Waiting)
		}
	})
	const key = "sesame-0123456789"
	env = append([]string{
		"POLLBRIDGE_TRACING_OTLP_ENDPOINT=" + endpoint(p.collector), "OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_EXPORTER_OTLP_HEADERS=api-key=sesame-8",
		"POLLBRIDGE_ADMIN_KEY=" + key, "POLLBRIDGE_WEBHOOK_ALLOW_HTTP=true", "POLLBRIDGE_WEBHOOK_ALLOW_NETWORKS=127.0.0.0/8",
		"POLLBRIDGE_WEBHOOK_ALLOW_PORTS=" + strconv.Itoa(p.receiver.Port()), "POLLBRIDGE_LOG_LEVEL=debug",
	}, env...)
	p.process = begin(t, env, "serve", "--upstream", p.upstream.URL, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	p.awaitServing()
	var err error
	p.manage, err = api.New(p.private, key, nil)
	testkit.NoError(t, err)
	_, err = p.manage.CreateSubscription(t.Context(), api.NewSubscription{URL: p.receiver.URL + tracedHook})
	testkit.NoError(t, err)
	return p
}

// span waits for the only span that is wanted.
func (p *traced) span(what string, wanted func(collector.Span) bool) (found collector.Span) {
	p.t.Helper()
	testkit.Eventually(p.t, "a span comes: "+what, func() bool {
		all := slices.DeleteFunc(p.collector.Spans(), func(s collector.Span) bool { return !wanted(s) })
		if len(all) > 0 {
			found = all[0]
		}
		return len(all) > 0
	})
	return found
}

// part is the fields by which a client says of which trace it is a part.
func part(n int) (traceID string, fields []string) {
	traceID = fmt.Sprintf("%032x", 0xabc000+n)
	return traceID, []string{"traceparent: 00-" + traceID + "-00f067aa0ba902b7-01", "tracestate: vendor=" + strconv.Itoa(n)}
}

func wantSays(t *testing.T, s collector.Span, kind string, attributes ...string) {
	t.Helper()
	if s.Kind != kind {
		t.Errorf("the span %s is of the kind %s; want %s", s.Name, s.Kind, kind)
	}
	for _, attribute := range attributes {
		name, want, _ := strings.Cut(attribute, "=")
		if got := s.Attributes[name]; got != want {
			t.Errorf("the span %s says %s=%q; want %q", s.Name, name, got, want)
		}
	}
}

// parentAt is the span that a request which came somewhere is part of.
func parentAt(t *testing.T, header http.Header) (traceID, spanID string) {
	t.Helper()
	parts := strings.Split(header.Get("traceparent"), "-")
	if len(header.Values("traceparent")) != 1 || len(parts) != 4 {
		t.Fatalf("traceparent is %q", header.Values("traceparent"))
	}
	return parts[1], parts[2]
}

// TestTracing is a signing as its spans tell of it, from the start call to the webhook, through
// the doors that a user takes: over HTTP and over gRPC.
func TestTracing(t *testing.T) {
	t.Parallel()
	for name, endpoint := range map[string]func(*collector.Collector) string{
		"http": func(c *collector.Collector) string { return c.HTTP },
		"grpc": func(c *collector.Collector) string { return c.GRPC },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := launchTraced(t, endpoint)
			startOfASigning(t, p)
			pollsOfManyClients(t, p)
			endOfASigning(t, p)
			exemplarsAreShown(t, p)
			if code, _ := p.terminate(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			for what, text := range map[string]string{"spans": p.collector.Text(), "log": p.Log.String()} {
				for _, secret := range []string{"sesame", "Z99Z", "hook-"} {
					if i := strings.Index(text, secret); i >= 0 {
						t.Errorf("the %s show %s: …%s…", what, secret, text[max(0, i-200):min(len(text), i+50)])
					}
				}
			}
		})
	}
}

// startOfASigning: what passes through is one trace, from the client to the upstream.
func startOfASigning(t *testing.T, p *traced) {
	traceID, fields := part(0)
	body := `{"access_token":"sesame-1","code":"sesame-2"}`
	if status, text := ask("POST", p.public+"/smartid/sign.json?q=sesame-3", body, append(fields, "Cookie: sesame-4", "X-Request-Id: ours")...); status != 200 {
		t.Fatalf("the start call = %d %s", status, text)
	}
	request := p.span("of the start call", func(s collector.Span) bool { return s.Name == "POST /smartid/sign.json" && s.Kind == "SERVER" })
	wantSays(t, request, "SERVER", "http.request.method=POST", "http.route=/smartid/sign.json", "url.path=/smartid/sign.json", "url.scheme=http",
		"http.response.status_code=200", "pollbridge.endpoint=smartid-sign", "http.response.header.x-request-id=ours")
	if request.Trace != traceID || request.Parent != "00f067aa0ba902b7" || request.State != "vendor=0" || request.Resource["service.name"] != "pollbridge" {
		t.Errorf("the start call is %+v; want a part of what the client said", request)
	}
	sent := p.span("to the upstream", func(s collector.Span) bool { return s.Parent == request.ID })
	host, port, _ := strings.Cut(strings.TrimPrefix(p.upstream.URL, "http://"), ":")
	wantSays(t, sent, "CLIENT", "http.request.method=POST", "server.address="+host, "server.port="+port, "http.response.status_code=200", "url.scheme=http")
	started := p.upstream.Requests()[0]
	if trace, span := parentAt(t, started.Header); trace != traceID || span != sent.ID || started.Header.Get("tracestate") != "vendor=0" {
		t.Errorf("the upstream is told %v; want trace %s and span %s", started.Header, traceID, sent.ID)
	}
	turn := p.span("of the watch", func(s collector.Span) bool { return s.Name == "watch smartid-sign" })
	wantSays(t, turn, "INTERNAL", "pollbridge.endpoint=smartid-sign", "pollbridge.state=pending")
	if turn.Trace == traceID || len(turn.Links) == 0 || turn.Links[0] != (collector.Link{Trace: traceID, ID: request.ID}) || !strings.HasPrefix(turn.Attributes["pollbridge.session.id"], "ses_") {
		t.Errorf("the watch is %+v; want a trace of its own with a link to the start call", turn)
	}
	poll := p.span("of the watch's poll", func(s collector.Span) bool { return s.Name == "poll smartid-sign" && s.Parent == turn.ID })
	exchange := p.span("of the watch's exchange", func(s collector.Span) bool { return s.Parent == poll.ID && s.Kind == "CLIENT" })
	wantSays(t, exchange, "CLIENT", "url.template=/smartid/sign/status/{token}.json", "pollbridge.outcome=pending")
}

// pollsOfManyClients: those who wait for one poll are linked with it, in both directions, and the
// upstream is part of the trace of one of them.
func pollsOfManyClients(t *testing.T, p *traced) {
	const clients = 30
	var asking sync.WaitGroup
	for n := range clients {
		_, fields := part(1 + n)
		asking.Go(func() {
			if status, text := ask("POST", p.public+"/mobile/sign/status/"+someToken+".json", someBody, fields...); status != 200 {
				t.Errorf("poll = %d %s", status, text)
			}
		})
	}
	asking.Wait()
	isRequest := func(s collector.Span) bool {
		return s.Name == "POST /mobile/sign/status/{token}.json" && s.Kind == "SERVER"
	}
	var requests []collector.Span
	testkit.Eventually(t, "the spans of all polls come", func() bool {
		requests = slices.DeleteFunc(p.collector.Spans(), func(s collector.Span) bool { return !isRequest(s) })
		return len(requests) == clients
	})
	waited := map[string][]string{} // by the poll that they are linked to
	for _, request := range requests {
		wantSays(t, request, "SERVER", "http.route=/mobile/sign/status/{token}.json", "pollbridge.state=pending", "url.path=/mobile/sign/status/tok1tok2….json")
		if len(request.Links) != 1 {
			t.Fatalf("a request has %d links; want one to the poll that answered it: %+v", len(request.Links), request)
		}
		poll := waited[request.Links[0].ID]
		if request.Attributes["pollbridge.result"] != "hit" {
			poll = append(poll, request.ID)
		}
		waited[request.Links[0].ID] = poll
	}
	for id, requests := range waited {
		poll := p.span("of the poll", func(s collector.Span) bool { return s.ID == id })
		var linked []string
		turns := map[string]bool{} // of the watch, which the first request began: they may wait along
		for _, turn := range p.collector.Named("watch mobile-sign") {
			turns[turn.ID] = true
		}
		for _, link := range poll.Links {
			if !turns[link.ID] {
				linked = append(linked, link.ID)
			}
		}
		slices.Sort(linked)
		slices.Sort(requests)
		if poll.Name != "poll mobile-sign" || !slices.Equal(linked, requests) || poll.Attributes["pollbridge.requests"] != strconv.Itoa(len(requests)) {
			t.Errorf("the poll %+v is linked to %d; want the %d that waited for it", poll, len(linked), len(requests))
		}
		if !slices.Contains(requests, poll.Parent) && !turns[poll.Parent] {
			t.Errorf("the poll is part of %s; want one of those that waited", poll.Parent)
		}
		exchange := p.span("of the exchange", func(s collector.Span) bool { return s.Parent == poll.ID && s.Kind == "CLIENT" })
		if exchange.Name != "POST /mobile/sign/status/{token}.json" {
			t.Errorf("the exchange is called %s", exchange.Name)
		}
		if !slices.ContainsFunc(p.upstream.Requests(), func(r testkit.Request) bool { _, span := parentAt(t, r.Header); return span == exchange.ID }) {
			t.Error("the upstream was not told of the exchange")
		}
	}
}

// endOfASigning: the webhook is part of the trace of the poll that has seen the end.
func endOfASigning(t *testing.T, p *traced) {
	p.signed.Store(true)
	var hook testkit.Webhook
	testkit.Eventually(t, "the webhook comes", func() bool {
		i := slices.IndexFunc(p.receiver.Got(), func(w testkit.Webhook) bool {
			return w.Type == "session.succeeded" && w.Data["endpoint"] == "smartid-sign"
		})
		if i >= 0 {
			hook = p.receiver.Got()[i]
		}
		return i >= 0
	})
	traceID, spanID := parentAt(t, hook.Header)
	attempt := p.span("of the attempt", func(s collector.Span) bool { return s.ID == spanID })
	host, port, _ := strings.Cut(strings.TrimPrefix(p.receiver.URL, "http://"), ":")
	wantSays(t, attempt, "CLIENT", "http.request.method=POST", "http.response.status_code=200", "server.address="+host, "server.port="+port,
		"messaging.message.id="+hook.ID(), "pollbridge.event.type=session.succeeded")
	if attempt.Trace != traceID || attempt.Name != "POST" || !strings.HasPrefix(attempt.Attributes["pollbridge.delivery.id"], "dlv_") {
		t.Errorf("the attempt is %+v", attempt)
	}
	recorded := p.span("of the event", func(s collector.Span) bool { return s.ID == attempt.Parent })
	wantSays(t, recorded, "PRODUCER", "messaging.message.id="+hook.ID(), "messaging.destination.name=events", "messaging.operation.type=send")
	poll := p.span("of the poll that has seen it", func(s collector.Span) bool { return s.ID == recorded.Parent })
	wantSays(t, poll, "INTERNAL", "pollbridge.state=succeeded", "pollbridge.outcome=succeeded")
}

// exemplarsAreShown to who asks for OpenMetrics, and to nobody else.
func exemplarsAreShown(t *testing.T, p *traced) {
	page := func(accept string) string {
		request, err := http.NewRequest("GET", p.private+"/metrics", nil)
		testkit.NoError(t, err)
		request.Header.Set("Accept", accept)
		response, err := testkit.Client.Do(request)
		testkit.NoError(t, err)
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		testkit.NoError(t, err)
		return string(text)
	}
	testkit.Eventually(t, "the histograms have exemplars", func() bool {
		text := page("application/openmetrics-text; version=1.0.0")
		for _, name := range []string{"pollbridge_upstream_request_seconds_bucket", "pollbridge_delivery_seconds_bucket", "pollbridge_watch_lag_seconds_bucket"} {
			has := false
			for line := range strings.Lines(text) {
				has = has || strings.HasPrefix(line, name) && strings.Contains(line, ` # {`) && strings.Contains(line, `trace_id="`)
			}
			if !has {
				return false
			}
		}
		return strings.HasSuffix(text, "# EOF\n")
	})
	if text := page("text/plain"); strings.Contains(text, "trace_id") || strings.Contains(text, "# EOF") {
		t.Error("who does not ask for exemplars gets them")
	}
}

// TestNothingSampledShowsNothing: where a client says that its trace is not recorded, there is no
// span of it, and no exemplar, but the upstream is told.
func TestNothingSampledShowsNothing(t *testing.T) {
	t.Parallel()
	p := launchTraced(t, func(c *collector.Collector) string { return c.HTTP }, "OTEL_TRACES_SAMPLER=parentbased_always_off")
	const traceID = "0af7651916cd43dd8448eb211c80319c"
	if status, _ := ask("POST", p.public+someStatus, someBody, "traceparent: 00-"+traceID+"-b7ad6b7169203331-00"); status != 200 {
		t.Fatal(status)
	}
	if trace, _ := parentAt(t, p.upstream.Requests()[0].Header); trace != traceID || !strings.HasSuffix(p.upstream.Requests()[0].Header.Get("traceparent"), "-00") {
		t.Errorf("the upstream is told %s", p.upstream.Requests()[0].Header.Get("traceparent"))
	}
	_, metrics := ask("GET", p.private+"/metrics", "", "Accept: application/openmetrics-text; version=1.0.0")
	if code, _ := p.terminate(); code != 0 || len(p.collector.Spans()) != 0 || strings.Contains(metrics, "trace_id") {
		t.Errorf("exit code %d, %d spans, exemplars %v", code, len(p.collector.Spans()), strings.Contains(metrics, "trace_id"))
	}
}

// TestTracingIsOff: nothing is said of traces; what passes through keeps what the client says, and
// a collector that the environment names is warned of.
func TestTracingIsOff(t *testing.T) {
	t.Parallel()
	upstream := testkit.NewUpstream(t, nil)
	p := begin(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://u:sesame@127.0.0.1:9"}, "serve", "--upstream", upstream.URL, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	p.awaitServing()
	_, fields := part(1)
	ask("POST", p.public+someStatus, someBody, fields...)
	ask("GET", p.public+"/other", "", fields...)
	polled, passed := upstream.Requests()[0].Header, upstream.Requests()[1].Header
	if polled.Get("traceparent") != "" || "traceparent: "+passed.Get("traceparent") != fields[0] {
		t.Errorf("a poll is sent with %q, and what passes through with %q", polled.Get("traceparent"), passed.Get("traceparent"))
	}
	_, metrics := ask("GET", p.private+"/metrics", "", "Accept: application/openmetrics-text; version=1.0.0")
	if strings.Contains(metrics, "# EOF") || strings.Contains(metrics, "pollbridge_trace") {
		t.Error("the metrics are not those of before")
	}
	testkit.Eventually(t, "the log warns", func() bool { return strings.Contains(p.Log.String(), "OTEL_EXPORTER_OTLP_ENDPOINT") })
	if strings.Contains(p.Log.String(), "sesame") {
		t.Error("the log shows a secret")
	}
}

// TestACollectorThatHangsDelaysNothing: neither requests nor the end of the program.
func TestACollectorThatHangsDelaysNothing(t *testing.T) {
	t.Parallel()
	p := launchTraced(t, func(c *collector.Collector) string { return c.HTTP })
	asked := make(chan struct{}, 1000)
	p.collector.Set(func(ctx context.Context) int {
		asked <- struct{}{}
		<-ctx.Done()
		return http.StatusServiceUnavailable
	})
	for range 5 {
		if status, _ := ask("POST", p.public+someStatus, someBody); status != 200 {
			t.Errorf("poll = %d", status)
		}
	}
	<-asked
	if code, took := p.terminate(); code != 0 || took > 9*time.Second {
		t.Errorf("exit code %d after %v; want 0 within 9s", code, took)
	}
}
