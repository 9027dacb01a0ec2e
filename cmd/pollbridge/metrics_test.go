package main

import (
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"pollbridge/admin/api"
	"pollbridge/internal/testkit"
)

// metricsOfContract are those that operators may rely on: their types and labels.
var metricsOfContract = map[string]struct {
	is     dto.MetricType
	labels string
}{
	"status_requests_total":      {dto.MetricType_COUNTER, "endpoint,result"},
	"upstream_requests_total":    {dto.MetricType_COUNTER, "endpoint,outcome"},
	"upstream_request_seconds":   {dto.MetricType_HISTOGRAM, "endpoint"},
	"breaker_state":              {dto.MetricType_GAUGE, "upstream"},
	"cache_entries":              {dto.MetricType_GAUGE, ""},
	"cache_bytes":                {dto.MetricType_GAUGE, ""},
	"watches":                    {dto.MetricType_GAUGE, ""},
	"watch_lag_seconds":          {dto.MetricType_HISTOGRAM, ""},
	"watch_delay_seconds":        {dto.MetricType_HISTOGRAM, ""},
	"events_total":               {dto.MetricType_COUNTER, "type"},
	"deliveries_total":           {dto.MetricType_COUNTER, "result"},
	"delivery_seconds":           {dto.MetricType_HISTOGRAM, ""},
	"delivery_backlog":           {dto.MetricType_GAUGE, ""},
	"deliveries_dead":            {dto.MetricType_GAUGE, ""},
	"passthrough_requests_total": {dto.MetricType_COUNTER, "code"},
	"finals_not_stored":          {dto.MetricType_GAUGE, ""},
	"store_connected":            {dto.MetricType_GAUGE, ""},
	"log_lines_dropped_total":    {dto.MetricType_COUNTER, ""},
	"admin_response_bytes_held":  {dto.MetricType_GAUGE, ""},
}

// occurring are values that the test has occur: name, and the values of the labels.
var occurring = []string{
	"status_requests_total smartid-sign hit", "status_requests_total smartid-sign miss", "status_requests_total smartid-sign collapsed",
	"status_requests_total smartid-sign stale", "status_requests_total smartid-sign error",
	"upstream_requests_total smartid-sign pending", "upstream_requests_total smartid-sign succeeded", "upstream_requests_total smartid-sign refused",
	"upstream_requests_total smartid-sign expired", "upstream_requests_total smartid-sign failed", "upstream_requests_total smartid-sign not_found",
	"upstream_requests_total smartid-sign unknown", "upstream_requests_total smartid-sign timeout", "upstream_requests_total smartid-sign connection",
	"upstream_requests_total smartid-sign unreadable", "upstream_requests_total smartid-sign transient", "upstream_requests_total smartid-sign server_error",
	"upstream_requests_total smartid-sign slow_down", "upstream_requests_total smartid-sign redirect", "upstream_requests_total smartid-sign held_back",
	"upstream_requests_total passthrough 2xx", "upstream_requests_total passthrough 4xx",
	"upstream_request_seconds smartid-sign", "upstream_request_seconds passthrough",
	"cache_entries", "cache_bytes", "watches", "watch_lag_seconds", "watch_delay_seconds",
	"events_total session.pending", "events_total session.succeeded", "events_total session.refused", "events_total session.expired",
	"events_total session.failed", "events_total session.not_found", "events_total session.abandoned", "events_total subscription.disabled", "events_total webhook.test",
	"deliveries_total delivered", "deliveries_total retried", "deliveries_total dead", "delivery_seconds", "deliveries_dead",
	"passthrough_requests_total 200", "passthrough_requests_total 404", "store_connected",
}

// longestBounds are values that a histogram has to tell from larger ones: of a second, what may be
// expected on a good day, and how long it may take at most.
var longestBounds = map[string][2]float64{
	"upstream_request_seconds": {.025, 60}, "watch_lag_seconds": {.02, 60}, "watch_delay_seconds": {.1, 60}, "delivery_seconds": {.025, 172800},
}

// TestMetrics: each metric of the contract is there, with its labels and with no other, and says
// what has happened. All are documented.
func TestMetrics(t *testing.T) {
	t.Parallel()
	answers := &answersByToken{ended: make(chan struct{}), polls: map[string]int{}}
	defer close(answers.ended)
	upstream := testkit.NewUpstream(t, func(w http.ResponseWriter, r *http.Request, _ string) { answers.answer(w, r) })
	receiver := testkit.NewReceiver(t, func(w http.ResponseWriter, got testkit.Webhook, _ int) {
		status, _ := strconv.Atoi(strings.TrimPrefix(got.Path, "/"))
		w.WriteHeader(status)
	})
	const key = "sesame-0123456789"
	p := begin(t, []string{
		"POLLBRIDGE_ADMIN_KEY=" + key, "POLLBRIDGE_WEBHOOK_ALLOW_HTTP=true", "POLLBRIDGE_WEBHOOK_ALLOW_NETWORKS=127.0.0.0/8",
		"POLLBRIDGE_WEBHOOK_ALLOW_PORTS=" + strconv.Itoa(receiver.Port()), "POLLBRIDGE_WEBHOOK_RETRIES=50ms", "POLLBRIDGE_CACHE_PENDING_TTL=100ms",
		"POLLBRIDGE_CACHE_NOT_FOUND_TTL=50ms", "POLLBRIDGE_WATCH_INTERVAL=100ms", "POLLBRIDGE_WATCH_NOT_FOUND_AFTER=100ms", "POLLBRIDGE_WATCH_DEADLINE=5s",
		"POLLBRIDGE_UPSTREAM_TIMEOUT=1s", "POLLBRIDGE_BREAKER_FAILURE_RATIO=1", "POLLBRIDGE_BREAKER_WINDOW=3s",
	}, "serve", "--upstream", upstream.URL, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
	p.awaitServing()
	manage, err := api.New(p.private, key, nil)
	testkit.NoError(t, err)
	for _, status := range []string{"200", "500", "410"} {
		made, err := manage.CreateSubscription(t.Context(), api.NewSubscription{URL: receiver.URL + "/" + status})
		testkit.NoError(t, err)
		if status == "200" {
			_, err = manage.TestSubscription(t.Context(), made.ID)
			testkit.NoError(t, err)
		}
	}

	var metrics map[string]*dto.MetricFamily
	missing := slices.Clone(occurring)
	tryTo(t, func() bool {
		askEverything(p, answers.poll("all"))
		metrics = p.metrics()
		missing = slices.DeleteFunc(missing, func(what string) bool { return valueOf(metrics, what) > 0 })
		return len(missing) == 0
	}, func() { t.Errorf("these do not occur: %s", strings.Join(missing, "; ")) })

	answers.down.Store(true)
	host := strings.TrimPrefix(upstream.URL, "http://")
	tryTo(t, func() bool {
		askEverything(p, answers.poll("all"))
		metrics = p.metrics()
		return valueOf(metrics, "upstream_requests_total smartid-sign circuit_open") > 0 && valueOf(metrics, "breaker_state "+host) == 2
	}, func() { t.Error("the breaker does not open, or no metric says so") })
	wantContract(t, metrics)
}

// tryTo tries until it works, or says why it has not.
func tryTo(t *testing.T, works func() bool, why func()) {
	t.Helper()
	defer func() {
		if t.Failed() {
			why()
		}
	}()
	testkit.Eventually(t, "everything occurs", works)
}

// answersByToken is an upstream that answers what a token asks for.
type answersByToken struct {
	down  atomic.Bool
	ended chan struct{}

	mu    sync.Mutex
	polls map[string]int // by token; guarded by mu
}

// poll counts a poll.
func (a *answersByToken) poll(token string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.polls[token]++
	return a.polls[token]
}

func (a *answersByToken) answer(w http.ResponseWriter, r *http.Request) {
	token, isStatus := strings.CutPrefix(r.URL.Path, "/smartid/sign/status/")
	token = strings.TrimSuffix(token, ".json")
	kind, _, turns := strings.Cut(token, "-")
	later := turns && a.poll(token) > 2
	coded := func(code string) { testkit.Respond(w, 200, `{"status":"error","message":"m","error_code":`+code+`}`) }
	switch {
	case a.down.Load(), token == "down", kind == "stale" && later:
		w.WriteHeader(502)
	case !isStatus:
		w.WriteHeader(map[bool]int{true: 200, false: 404}[r.URL.Path == "/200"])
	case token == "succeeded", kind == "ends" && later:
		testkit.Respond(w, 200, `{"status":"ok"}`)
	case token == "unknown":
		testkit.Respond(w, 200, `{"status":"new"}`)
	case token == "garbage":
		testkit.Respond(w, 200, "none")
	case token == "redirect":
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	case token == "drop":
		panic(http.ErrAbortHandler)
	case token == "hang":
		select {
		case <-a.ended:
		case <-r.Context().Done():
		}
	case token == "slow":
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(429)
	case kind == "gone" && later:
		coded("40402")
	case strings.HasPrefix(token, "4"), strings.HasPrefix(token, "5"):
		coded(token)
	default:
		testkit.Respond(w, 200, testkit.Waiting)
	}
}

// askEverything polls about sessions of each kind, and passes something through. Sessions that
// change are new ones each time: on a busy machine one may be given up before.
func askEverything(p *process, round int) {
	var asking sync.WaitGroup
	poll := func(token string) {
		ask("POST", p.public+"/smartid/sign/status/"+token+".json", `{"access_token":"sesame-`+token+`"}`)
	}
	for _, token := range []string{"pending", "ends-" + strconv.Itoa(round), "succeeded", "40020", "40021", "40022", "40402", "50001", "unknown", "garbage", "redirect", "drop", "hang", "slow", "down", "gone-" + strconv.Itoa(round), "stale-" + strconv.Itoa(round)} {
		for range 3 {
			asking.Go(func() { poll(token) })
		}
	}
	asking.Go(func() { ask("GET", p.public+"/200", "") })
	asking.Go(func() { ask("GET", p.public+"/404", "") })
	asking.Wait()
	for _, token := range []string{"pending", "pending", "stale-" + strconv.Itoa(round)} {
		poll(token)
	}
}

// metrics reads the page of metrics: those of the program, without their prefix.
func (p *process) metrics() map[string]*dto.MetricFamily {
	p.t.Helper()
	_, page := ask("GET", p.private+"/metrics", "")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	all, err := parser.TextToMetricFamilies(strings.NewReader(page))
	testkit.NoError(p.t, err)
	ours := map[string]*dto.MetricFamily{}
	for name, family := range all {
		if name, ok := strings.CutPrefix(name, "pollbridge_"); ok {
			ours[name] = family
		}
	}
	return ours
}

// valueOf is what a metric says, or how many values it has observed.
func valueOf(metrics map[string]*dto.MetricFamily, what string) float64 {
	name, labels, _ := strings.Cut(what, " ")
	for _, m := range metrics[name].GetMetric() {
		var values []string
		for _, pair := range m.Label {
			values = append(values, pair.GetValue())
		}
		if strings.Join(values, " ") == labels {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return -1
}

func wantContract(t *testing.T, metrics map[string]*dto.MetricFamily) {
	t.Helper()
	for name, want := range metricsOfContract {
		family := metrics[name]
		if family == nil || family.GetType() != want.is {
			t.Errorf("%s is %v; want a %v", name, family.GetType(), want.is)
			continue
		}
		for _, m := range family.Metric {
			var labels []string
			for _, pair := range m.Label {
				labels = append(labels, pair.GetName())
			}
			if got := strings.Join(labels, ","); got != want.labels {
				t.Errorf("%s has the labels %s; want %s", name, got, want.labels)
			}
		}
		if bounds, ok := longestBounds[name]; ok {
			buckets := family.Metric[0].Histogram.Bucket
			has := func(bound float64) bool {
				return slices.ContainsFunc(buckets, func(b *dto.Bucket) bool { return b.GetUpperBound() == bound })
			}
			if !has(bounds[0]) || !has(bounds[1]) {
				t.Errorf("the buckets of %s are %v; want ones at %v", name, buckets, bounds)
			}
		}
	}
	document, err := os.ReadFile("../../docs/operations.md")
	testkit.NoError(t, err)
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		if !strings.Contains(string(document), "`"+name) {
			t.Errorf("%s is not in docs/operations.md", name)
		}
	}
}
