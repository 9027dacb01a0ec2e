package webhook_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pollbridge/internal/testkit"
	"pollbridge/session"
	"pollbridge/webhook"
	"pollbridge/webhook/delivery"
	"pollbridge/webhook/send"
)

// TestHostileReceivers: none of them holds up more than its own attempt, not even one
// that never ends, and each is told by its class.
func TestHostileReceivers(t *testing.T) {
	t.Parallel()
	hijack := func(f func(net.Conn)) func(http.ResponseWriter, testkit.Webhook, int) {
		return func(w http.ResponseWriter, _ testkit.Webhook, _ int) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				f(conn)
				conn.Close()
			}
		}
	}
	drip := func(head string) func(net.Conn) {
		return func(conn net.Conn) {
			io.WriteString(conn, head)
			for pace := time.Tick(20 * time.Millisecond); ; <-pace {
				if _, err := io.WriteString(conn, "x"); err != nil {
					return
				}
			}
		}
	}
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
	var sent atomic.Int64
	for _, c := range []struct {
		name   string
		answer func(http.ResponseWriter, testkit.Webhook, int)
		status int
		class  string
	}{
		{"hangs", hijack(func(c net.Conn) { io.Copy(io.Discard, c) }), 0, send.ErrorTimeout},
		{"resets", hijack(func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }), 0, send.ErrorBroken},
		{"closes", hijack(func(net.Conn) {}), 0, send.ErrorBroken},
		{"speaks something else", hijack(func(c net.Conn) { io.WriteString(c, "220 mail.example ESMTP\r\n") }), 0, send.ErrorBroken},
		{"drips its header", hijack(drip("HTTP/1.1 200 OK\r\nX: ")), 0, send.ErrorTimeout},
		{"endless header", hijack(func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for range 10_000 {
				if _, err := io.WriteString(c, "X: "+strings.Repeat("x", 1000)+"\r\n"); err != nil {
					return
				}
			}
		}), 0, send.ErrorBroken},
		{"drips its answer", hijack(drip(head)), 200, ""},
		{"drips its failure", hijack(drip(strings.Replace(head, "200 OK", "500 Oh", 1))), 500, send.ErrorStatus},
		{"never ends", hijack(func(c net.Conn) { io.WriteString(c, head); io.Copy(io.Discard, c) }), 200, ""},
		{"breaks off", hijack(func(c net.Conn) { io.WriteString(c, head+"xxx") }), 200, ""},
		{"answers with broken chunks", hijack(func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
		}), 201, ""},
		{"switches protocols", hijack(func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			io.Copy(io.Discard, c)
		}), 101, send.ErrorStatus},
		{"answers 1 GB", func(w http.ResponseWriter, _ testkit.Webhook, _ int) {
			chunk := make([]byte, 1<<20)
			for range 1024 {
				n, err := w.Write(chunk)
				sent.Add(int64(n))
				if err != nil {
					return
				}
			}
		}, 200, ""},
		{"redirects", func(w http.ResponseWriter, r testkit.Webhook, _ int) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(308)
		}, 308, send.ErrorRedirect},
		{"redirects to metadata", func(w http.ResponseWriter, r testkit.Webhook, _ int) {
			w.Header().Set("Location", "http://169.254.169.254/latest/meta-data/")
			w.WriteHeader(302)
		}, 302, send.ErrorRedirect},
		{"answers NUL and no UTF-8", func(w http.ResponseWriter, _ testkit.Webhook, _ int) { w.Write([]byte("a\x00b\xff")) }, 200, ""},
		{"answers nothing", testkit.AnswerStatus(204), 204, ""},
		{"hints early", func(w http.ResponseWriter, _ testkit.Webhook, _ int) { w.WriteHeader(103); w.WriteHeader(202) }, 202, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := testkit.NewReceiver(t, c.answer)
			b := newBridge(t, func(b *bridge) {
				b.cfg.Timeout, b.cfg.Retries = testkit.Timeout, nil
				if c.class == send.ErrorTimeout {
					b.cfg.Timeout = 2 * time.Second
				}
			}, r)
			sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
			b.changed(change("ses_a", session.Succeeded))
			state := delivery.Delivered
			if c.class != "" {
				state = delivery.Dead
			}
			d := b.ended(sub, state)
			if a := d.Attempts[0]; len(d.Attempts) != 1 || a.Error != c.class || a.Status != c.status || len(a.Answer) > 4096 || a.Duration > b.cfg.Timeout/2+2*time.Second {
				t.Errorf("%d attempts; the first: status %d, %q (%s), took %v, %d bytes of answer", len(d.Attempts), a.Status, a.Error, a.Detail, a.Duration, len(a.Answer))
			}
			if n := r.Count(); n != 1 {
				t.Errorf("%d requests; want 1", n)
			}
		})
	}
	t.Cleanup(func() {
		if n := sent.Load(); n > 64<<20 {
			t.Errorf("%d bytes of an answer were taken", n)
		}
	})
}

func TestTLS(t *testing.T) {
	t.Parallel()
	tomorrow := time.Now().Add(24 * time.Hour)
	for _, c := range []struct {
		name    string
		until   time.Time
		host    string
		trusted bool
		most    uint16
		want    string
	}{
		{"good", tomorrow, "hooks.example", true, 0, ""},
		{"TLS 1.2", tomorrow, "hooks.example", true, tls.VersionTLS12, ""},
		{"TLS 1.1", tomorrow, "hooks.example", true, tls.VersionTLS11, send.ErrorTLS},
		{"expired", time.Now().Add(-time.Hour), "hooks.example", true, 0, send.ErrorTLS},
		{"another name", tomorrow, "other.example", true, 0, send.ErrorTLS},
		{"nobody's", tomorrow, "hooks.example", false, 0, send.ErrorTLS},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			own := testkit.NewCertificateUntil(t, c.until, "hooks.example")
			roots := x509.NewCertPool()
			if c.trusted {
				roots = own.Pool()
			}
			r := testkit.NewTLSReceiver(t, &tls.Config{Certificates: []tls.Certificate{own.Certificate}, MinVersion: tls.VersionTLS10, MaxVersion: c.most}, nil)
			resolver := testkit.NewResolver(t, func(string) []string { return []string{"127.0.0.1"} })
			b := newBridge(t, func(b *bridge) {
				b.cfg.AllowHTTP, b.cfg.Retries = false, nil
				b.options.SetDialing(resolver, roots)
			}, r)
			sub := b.subscribe(webhook.NewSubscription{URL: fmt.Sprintf("https://%s:%d/", c.host, r.Port())})
			a, err := b.Test(t.Context(), sub.ID)
			if err != nil || a.Error != c.want {
				t.Errorf("Test = %q (%s), %v; want %q", a.Error, a.Detail, err, c.want)
			}
		})
	}
}

// TestCAFile: a private authority vouches besides those of the system, not instead.
func TestCAFile(t *testing.T) {
	t.Parallel()
	system, private, nobodys := testkit.NewCertificate(t, "hooks.example"), testkit.NewCertificate(t, "hooks.example"), testkit.NewCertificate(t, "hooks.example")
	resolver := testkit.NewResolver(t, func(string) []string { return []string{"127.0.0.1"} })
	for i, shown := range []testkit.Certificate{system, private, nobodys} {
		r := testkit.NewTLSReceiver(t, &tls.Config{Certificates: []tls.Certificate{shown.Certificate}}, nil)
		b := newBridge(t, func(b *bridge) {
			b.cfg.CAFile = private.CertFile
			b.options.SetDialing(resolver, system.Pool())
		}, r)
		sub := b.subscribe(webhook.NewSubscription{URL: fmt.Sprintf("https://hooks.example:%d/", r.Port())})
		if a, err := b.Test(t.Context(), sub.ID); err != nil || a.Succeeded() != (i < 2) {
			t.Errorf("receiver %d: Test = %q (%s), %v", i, a.Error, a.Detail, err)
		}
	}
}

// TestExpiredCertificate: deliveries fail and say why, and arrive when there is another.
func TestExpiredCertificate(t *testing.T) {
	t.Parallel()
	expired := testkit.NewCertificateUntil(t, time.Now().Add(-time.Hour), "hooks.example")
	renewed := testkit.NewCertificate(t, "hooks.example")
	roots := renewed.Pool()
	roots.AddCert(expired.Leaf)
	var shown atomic.Pointer[tls.Certificate]
	shown.Store(&expired.Certificate)
	r := testkit.NewTLSReceiver(t, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return shown.Load(), nil }}, nil)
	resolver := testkit.NewResolver(t, func(string) []string { return []string{"127.0.0.1"} })
	b := newBridge(t, func(b *bridge) {
		b.cfg.AllowHTTP, b.cfg.Retries = false, slices.Repeat([]time.Duration{50 * time.Millisecond}, 200)
		b.options.SetDialing(resolver, roots)
	}, r)
	sub := b.subscribe(webhook.NewSubscription{URL: fmt.Sprintf("https://hooks.example:%d/", r.Port())})
	b.changed(change("ses_a", session.Succeeded))
	testkit.Eventually(t, "it is tried again", func() bool {
		all := b.deliveriesOf(delivery.Filter{Subscription: sub.ID})
		return len(all) == 1 && len(all[0].Attempts) >= 2
	})
	shown.Store(&renewed.Certificate)
	for _, a := range slices.Backward(b.ended(sub, delivery.Delivered).Attempts) {
		if !a.Succeeded() && (a.Error != send.ErrorTLS || !strings.Contains(a.Detail, "expired")) {
			t.Errorf("an attempt failed with %q (%s); want that the certificate has expired", a.Error, a.Detail)
		}
	}
	if n := r.Count(); n != 1 {
		t.Errorf("%d requests; want the one after the renewal", n)
	}
}

// TestAddressThatBecomesPrivate: the name is harmless when it is registered and not
// when it is dialled.
func TestAddressThatBecomesPrivate(t *testing.T) {
	t.Parallel()
	inside := testkit.NewReceiver(t, nil) // what must not be reached
	port := inside.Port()
	var address atomic.Value
	address.Store("127.0.0.1")
	resolver := testkit.NewResolver(t, func(string) []string { return []string{address.Load().(string)} })
	b := newBridge(t, func(b *bridge) {
		b.cfg.AllowNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} // this much counts as public here
		b.cfg.Retries = nil
		b.options.SetDialing(resolver, nil)
	}, inside)
	sub := b.subscribe(webhook.NewSubscription{URL: fmt.Sprintf("http://rebinding.example:%d/", port)})
	b.changed(change("ses_a", session.Succeeded))
	b.ended(sub, delivery.Delivered)
	inside.CloseClientConnections() // so that it is dialled again
	for _, address2 := range []string{"127.0.0.2", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.2"} {
		address.Store(address2)
		a, err := b.Test(t.Context(), sub.ID)
		if err != nil || a.Error != send.ErrorRefused || strings.Contains(a.Detail, "rebinding") {
			t.Errorf("when it is %s: %q (%s), %v; want it refused", address2, a.Error, a.Detail, err)
		}
	}
	b.changed(change("ses_b", session.Succeeded))
	if a := b.ended(sub, delivery.Dead).Attempts[0]; a.Error != send.ErrorRefused {
		t.Errorf("the delivery failed with %q (%s); want it refused", a.Error, a.Detail)
	}
	if n := inside.Count(); n != 1 {
		t.Errorf("%d requests inside; want the first only", n)
	}
}

// TestNoProxy: a proxy would do the dialling, where nobody checks.
func TestNoProxy(t *testing.T) {
	proxy, r := testkit.NewReceiver(t, nil), testkit.NewReceiver(t, nil)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	t.Setenv("ALL_PROXY", proxy.URL)
	resolver := testkit.NewResolver(t, func(string) []string { return []string{"127.0.0.1"} })
	b := newBridge(t, func(b *bridge) { b.options.SetDialing(resolver, nil) }, r)
	sub := b.subscribe(webhook.NewSubscription{URL: fmt.Sprintf("http://hooks.example:%d/", r.Port())})
	if a, err := b.Test(t.Context(), sub.ID); err != nil || !a.Succeeded() {
		t.Errorf("Test = %+v, %v", a, err)
	}
	if proxy.Count() != 0 || r.Count() != 1 {
		t.Errorf("%d requests to the proxy, %d to the receiver", proxy.Count(), r.Count())
	}
}

// TestADeadEndpointDelaysNobody: 10,000 events for somebody who hangs, and the others
// hear of theirs before the first attempt at the dead one has ended.
func TestADeadEndpointDelaysNobody(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("tells of 10,000 events")
	}
	const events = 10_000
	stop := make(chan struct{})
	dead := testkit.NewReceiver(t, func(w http.ResponseWriter, _ testkit.Webhook, _ int) { <-stop; w.WriteHeader(500) })
	end := sync.OnceFunc(func() { close(stop) })
	t.Cleanup(end)
	good := testkit.NewReceiver(t, nil)
	b := newBridge(t, func(b *bridge) {
		b.cfg.Retries = []time.Duration{time.Hour}
		b.cfg.Timeout = time.Hour
		b.options.SetTimes(0, time.Hour)
	}, dead, good)
	bad := b.subscribe(webhook.NewSubscription{URL: dead.URL})
	b.subscribe(webhook.NewSubscription{URL: good.URL, Account: "good"})
	for i := range events {
		b.changed(change(fmt.Sprintf("ses_%d", i), session.Succeeded))
	}
	dead.Wait(t, b.cfg.Concurrency)
	slowest := time.Duration(0)
	for i := range 20 {
		c := change(fmt.Sprintf("ses_good_%d", i), session.Succeeded)
		c.Account = b.AccountID("good")
		start := time.Now()
		b.changed(c)
		good.Wait(t, i+1)
		slowest = max(slowest, time.Since(start))
	}
	t.Logf("the slowest of the others took %v", slowest)
	if n := dead.Count(); n != b.cfg.Concurrency {
		t.Errorf("%d requests to the dead one; want %d, none of which has ended", n, b.cfg.Concurrency)
	}
	end()
	// The breaker opens: most of the 10,000 are not tried, and none is lost.
	testkit.Eventually(t, "the breaker is open", func() bool {
		st, err := b.Stats(t.Context())
		return err == nil && st.OpenBreakers == 1 && st.AttemptsUnderWay == 0
	})
	tried := 0
	for _, d := range b.deliveriesOf(delivery.Filter{Subscription: bad.ID}) {
		if len(d.Attempts) > 0 {
			tried++
		}
	}
	if tried > 40 {
		t.Errorf("%d were tried", tried)
	}
	testkit.Eventually(t, "all wait, now or for a retry", func() bool { // what is put off may be counted twice for a moment
		st, err := b.Stats(t.Context())
		return err == nil && st.BacklogNow+st.BacklogLater == events+20
	})
}

// TestNoAnswerHoldsNothing: a status that is no answer is a failure at once, to whoever
// waits for the attempt.
func TestNoAnswerHoldsNothing(t *testing.T) {
	t.Parallel()
	for _, status := range []int{101, 150} {
		r := testkit.NewRawUpstream(t, func(c *testkit.Conn) {
			c.ReadRequest()
			c.Say(fmt.Sprintf("HTTP/1.1 %d X\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", status))
			c.UntilClosed()
		})
		b := newBridge(t, func(b *bridge) {
			b.cfg.Timeout, b.cfg.Retries, b.cfg.Concurrency = testkit.Timeout, nil, 1
			b.cfg.AllowPorts = []int{int(netip.MustParseAddrPort(r.Addr()).Port())}
		})
		sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
		start := time.Now()
		if a, err := b.Test(t.Context(), sub.ID); err != nil || a.Status != status || a.Error != send.ErrorStatus {
			t.Errorf("Test = status %d, %q (%s), %v; want %d, %q", a.Status, a.Error, a.Detail, err, status, send.ErrorStatus)
		}
		for i := range 3 {
			b.changed(change(fmt.Sprintf("ses_%d", i), session.Succeeded))
		}
		testkit.Eventually(t, "each is given up", func() bool {
			return len(b.deliveriesOf(delivery.Filter{State: delivery.Dead})) == 3
		})
		b.close()
		if took := time.Since(start); took > testkit.Timeout/2 {
			t.Errorf("with status %d it took %v", status, took)
		}
	}
}

// TestRecoveryOfAReceiver: what waited while the breaker was open arrives when the
// receiver is back, without a lost one and with no attempt burnt meanwhile.
func TestRecoveryOfAReceiver(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t, testkit.AnswerStatus(503))
	b := newBridge(t, func(b *bridge) {
		for range 20 {
			b.cfg.Retries = append(b.cfg.Retries, 100*time.Millisecond)
		}
	}, r)
	sub := b.subscribe(webhook.NewSubscription{URL: r.URL})
	const events = 100
	for i := range events {
		b.changed(change(fmt.Sprintf("ses_%d", i), session.Succeeded))
	}
	r.Wait(t, 20)
	r.Set(nil)
	testkit.Eventually(t, "all are delivered", func() bool {
		return len(b.deliveriesOf(delivery.Filter{Subscription: sub.ID, State: delivery.Delivered})) == events
	})
	if st, err := b.Stats(t.Context()); err != nil || st.OpenBreakers != 0 || st.Dead != 0 {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestNameWithoutAddress(t *testing.T) {
	t.Parallel()
	resolver := testkit.NewResolver(t, func(string) []string { return nil })
	b := newBridge(t, func(b *bridge) { b.options.SetDialing(resolver, nil) })
	sub := b.subscribe(webhook.NewSubscription{URL: "https://nobody.example/"})
	if a, err := b.Test(t.Context(), sub.ID); err != nil || a.Error != send.ErrorDNS || strings.Contains(a.Detail, "nobody") {
		t.Errorf("Test = %+v, %v; want an error of DNS", a, err)
	}
}
