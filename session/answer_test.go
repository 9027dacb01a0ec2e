package session_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"pollbridge/session"
)

func format(t testing.TB, c session.EndpointConfig) *session.AnswerFormat {
	t.Helper()
	c.Name, c.Method, c.Path, c.Credential = "x", "POST", "/x/{token}", "body:key"
	e, err := session.NewEndpoint(c)
	if err != nil {
		t.Fatalf("NewEndpoint = %v", err)
	}
	return &e.Answer
}

func coded() *session.AnswerFormat {
	endpoints, _ := session.Dialect("marksign")
	return &endpoints[0].Answer
}

// TestEveryCodeAtEveryStatus: the vendor documents the codes and not the statuses.
func TestEveryCodeAtEveryStatus(t *testing.T) {
	for _, c := range []struct {
		code  int32
		state session.State
		fault bool
		err   error
	}{
		{code: 40001, fault: true}, {code: 40002, fault: true}, {code: 40003, fault: true}, {code: 40004, fault: true}, {code: 40005, fault: true},
		{code: 40020, state: session.Refused},
		{code: 40021, state: session.Expired},
		{code: 40022, state: session.Failed},
		{code: 40401, state: session.Failed},
		{code: 40402, state: session.NotFound},
		{code: 40403, state: session.Failed},
		{code: 40801, state: session.Expired},
		{code: 50000, err: session.ErrTransient}, {code: 50001, err: session.ErrTransient}, {code: 50002, err: session.ErrTransient},
		{code: 50003, state: session.Failed}, {code: 50004, state: session.Failed},
	} {
		for _, status := range []int{200, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504} {
			for _, body := range []string{`{"status":"error","message":"m","error_code":%d}`, `{"error_code":"%d","status":"error","message":"m"}`} {
				got, err := coded().Read(status, fmt.Appendf(nil, body, c.code))
				if !errors.Is(err, c.err) {
					t.Errorf("%d with %d: error %v; want %v", status, c.code, err, c.err)
				}
				want := session.Answer{State: c.state, Code: c.code, CallersFault: c.fault, Localized: true}
				if c.err != nil {
					want = session.Answer{}
				}
				if got != want {
					t.Errorf("%d with %d: %+v; want %+v", status, c.code, got, want)
				}
			}
		}
	}
}

func TestAnswers(t *testing.T) {
	ok := session.Answer{State: session.Succeeded}
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   session.Answer
		err    error
	}{
		{"waiting", 200, `{"status":"waiting"}`, session.Answer{State: session.Pending}, nil},
		{"signed", 200, `{"status":"ok","file":{"name":"a.pdf","content":"eA=="}}`, ok, nil},
		{"created", 201, `{"status":"ok"}`, ok, nil},
		{"white space", 200, "\r\n\t {\n\"status\" : \"ok\"\n} \r\n", ok, nil},
		{"a BOM", 200, "\xef\xbb\xbf" + `{"status":"ok"}`, ok, nil},
		{"escaped", 200, `{"st\u0061tus":"o\u006b"}`, ok, nil},
		{"with a message", 200, `{"status":"waiting","message":"Laukiama"}`, session.Answer{State: session.Pending, Localized: true}, nil},
		{"with an empty message", 200, `{"status":"waiting","message":""}`, session.Answer{State: session.Pending, Localized: true}, nil},
		{"with no message", 200, `{"status":"waiting","message":null}`, session.Answer{State: session.Pending}, nil},
		{"with the message null", 200, `{"status":"waiting","message":"null"}`, session.Answer{State: session.Pending, Localized: true}, nil},
		{"with a null code", 200, `{"status":"ok","error_code":null}`, ok, nil},
		{"invalid UTF-8 elsewhere", 200, "{\"person\":{\"name\":\"\xff\xfe\"},\"status\":\"ok\"}", ok, nil},
		{"a lone surrogate elsewhere", 200, `{"person":"\ud800","status":"ok"}`, ok, nil},
		{"invalid UTF-8 in a name", 200, "{\"\xff\":1,\"status\":\"ok\"}", ok, nil},
		{"duplicates elsewhere", 200, `{"a":1,"a":2,"b":{"c":1,"c":2},"status":"ok"}`, ok, nil},
		{"the same name further in", 200, `{"file":{"status":"waiting","error_code":50000},"status":"ok"}`, ok, nil},
		{"names in another case", 200, `{"Status":"waiting","STATUS":"error","status":"ok"}`, ok, nil},
		{"a status nobody knows", 200, `{"status":"paused"}`, session.Answer{}, nil},
		{"a status in another case", 200, `{"status":"OK"}`, session.Answer{}, nil},
		{"a status with a space", 200, `{"status":"ok "}`, session.Answer{}, nil},
		{"a status that is no string", 200, `{"status":{"ok":true}}`, session.Answer{}, nil},
		{"a status of invalid UTF-8", 200, "{\"status\":\"ok\xff\"}", session.Answer{}, nil},
		{"no status", 200, `{"error_code":40402}`, session.Answer{Code: 40402}, nil},
		{"an empty object", 200, `{}`, session.Answer{}, nil},
		{"status twice", 200, `{"status":"ok","status":"waiting"}`, session.Answer{}, nil},
		{"status twice, the same", 200, `{"status":"ok","status":"ok"}`, session.Answer{}, nil},
		{"status twice, once escaped", 200, `{"status":"waiting","st\u0061tus":"ok"}`, session.Answer{}, nil},
		{"code twice", 200, `{"status":"error","error_code":40020,"error_code":40402}`, session.Answer{Code: 40402}, nil},
		{"a transient code twice", 500, `{"status":"error","error_code":50000,"error_code":40020}`, session.Answer{}, session.ErrServerError},
		{"an undocumented code", 200, `{"status":"error","error_code":40999}`, session.Answer{Code: 40999}, nil},
		{"an undocumented code in a 5xx", 500, `{"status":"error","error_code":40999}`, session.Answer{}, session.ErrServerError},
		{"an error without a code", 400, `{"status":"error"}`, session.Answer{}, nil},
		{"a fractional code", 200, `{"status":"error","error_code":40020.0}`, session.Answer{}, nil},
		{"a huge code", 200, `{"status":"error","error_code":400209999999999999999999}`, session.Answer{}, nil},
		{"a code with a sign", 200, `{"status":"error","error_code":-40020}`, session.Answer{Code: -40020}, nil},
		{"a final code with waiting", 200, `{"status":"waiting","error_code":40020}`, session.Answer{State: session.Pending, Code: 40020}, nil},
		{"a transient code with waiting", 200, `{"status":"waiting","error_code":50001}`, session.Answer{}, session.ErrTransient},
		{"waiting in a 404", 404, `{"status":"waiting"}`, session.Answer{State: session.Pending}, nil},
		{"waiting in a 500", 500, `{"status":"waiting"}`, session.Answer{}, session.ErrServerError},
		{"ok in a 503", 503, `{"status":"ok"}`, session.Answer{}, session.ErrServerError},
		{"waiting in a 429", 429, `{"status":"waiting"}`, session.Answer{}, session.ErrSlowDown},
		{"a plain 429", 429, `slow down`, session.Answer{}, session.ErrSlowDown},
		{"a plain 500", 500, ``, session.Answer{}, session.ErrServerError},
		{"a status beyond all", 999, `{"status":"ok"}`, session.Answer{}, session.ErrServerError},
		{"an early hint", 103, `{"status":"ok"}`, session.Answer{}, session.ErrUnreadable},
		{"a redirect", 302, `{"status":"ok"}`, session.Answer{}, session.ErrUnreadable},
		{"not modified", 304, ``, session.Answer{}, session.ErrUnreadable},
		{"nothing", 200, ``, session.Answer{}, session.ErrUnreadable},
		{"white space only", 200, " \n", session.Answer{}, session.ErrUnreadable},
		{"a BOM only", 200, "\xef\xbb\xbf", session.Answer{}, session.ErrUnreadable},
		{"two BOMs", 200, "\xef\xbb\xbf\xef\xbb\xbf" + `{"status":"ok"}`, session.Answer{}, session.ErrUnreadable},
		{"HTML", 200, `<html>`, session.Answer{}, session.ErrUnreadable},
		{"HTML in a 404", 404, `<html>`, session.Answer{}, session.ErrUnreadable},
		{"an array", 200, `[{"status":"ok"}]`, session.Answer{}, session.ErrUnreadable},
		{"a string", 200, `"ok"`, session.Answer{}, session.ErrUnreadable},
		{"null", 200, `null`, session.Answer{}, session.ErrUnreadable},
		{"half of it", 200, `{"status":"ok"`, session.Answer{}, session.ErrUnreadable},
		{"half a string", 200, `{"status":"ok","file":"eA`, session.Answer{}, session.ErrUnreadable},
		{"two documents", 200, `{"status":"ok"}{"status":"ok"}`, session.Answer{}, session.ErrUnreadable},
		{"rubbish behind", 200, `{"status":"ok"}x`, session.Answer{}, session.ErrUnreadable},
		{"NUL behind", 200, "{\"status\":\"ok\"}\x00", session.Answer{}, session.ErrUnreadable},
		{"a comment", 200, `{"status":"ok"}//`, session.Answer{}, session.ErrUnreadable},
		{"a trailing comma", 200, `{"status":"ok",}`, session.Answer{}, session.ErrUnreadable},
		{"single quotes", 200, `{'status':'ok'}`, session.Answer{}, session.ErrUnreadable},
		{"UTF-16", 200, "\xff\xfe{\x00}\x00", session.Answer{}, session.ErrUnreadable},
		{"too deep", 200, `{"status":"ok","x":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`, session.Answer{}, session.ErrUnreadable},
		{"too deep by objects", 200, strings.Repeat(`{"x":`, 20_000) + "1" + strings.Repeat("}", 20_000), session.Answer{}, session.ErrUnreadable},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := []byte(c.body)
			got, err := coded().Read(c.status, body)
			if got != c.want || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
				t.Errorf("Read(%d, %.80s) = %+v, %v; want %+v, %v", c.status, c.body, got, err, c.want, c.err)
			}
			if string(body) != c.body {
				t.Error("Read changed the body, which others are answered with")
			}
		})
	}
}

// TestHugeAnswer: the document is skipped, not copied.
func TestHugeAnswer(t *testing.T) {
	document := strings.Repeat("QUJD", 5<<20)
	for _, text := range []string{`{"file":{"content":"` + document + `"},"status":"ok"}`, `{"status":"ok","file":{"content":"` + document + `"}}`} {
		body := []byte(text)
		got, err := coded().Read(200, body)
		if err != nil || got.State != session.Succeeded {
			t.Errorf("Read = %+v, %v; want succeeded", got, err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		coded().Read(200, body)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("reading %d MiB allocates %d MiB", len(body)>>20, took>>20)
		}
	}
}

func TestNestedPointers(t *testing.T) {
	nested := format(t, session.EndpointConfig{
		Status: "/data/document_status", Code: "/data/error/code", Pending: []string{"pending", "1", "false"}, Succeeded: []string{"signed"}, Failed: []string{"failed"},
	})
	for _, c := range []struct {
		body  string
		state session.State
		code  int32
	}{
		{`{"data":{"document_status":"pending"}}`, session.Pending, 0},
		{`{"document_status":"signed","data":{"x":{"document_status":"signed"},"document_status":"pending"}}`, session.Pending, 0},
		{`{"data":{"document_status":1}}`, session.Pending, 0},
		{`{"data":{"document_status":false}}`, session.Pending, 0},
		{`{"data":{"document_status":"signed","error":{"code":null}}}`, session.Succeeded, 0},
		{`{"data":{"document_status":"failed","error":{"code":40020}}}`, session.Refused, 40020},
		{`{"data":{"error":{"code":"40402"},"document_status":"failed"}}`, session.NotFound, 40402},
		{`{"data":{"document_status":"failed"}}`, session.Failed, 0}, // a custom endpoint's own end
		{`{"data":{"document_status":"failed","error":{"code":7}}}`, session.Failed, 7},
		{`{"data":[{"document_status":"signed"}]}`, session.Unknown, 0},
		{`{"data":"signed"}`, session.Unknown, 0},
		{`{"data":null}`, session.Unknown, 0},
		{`{"data":{"document_status":"signed"},"data":{"document_status":"pending"}}`, session.Unknown, 0},
		{`{"data":{"document_status":"signed"},"data":{}}`, session.Unknown, 0},
		{`{"data":{"document_status":"signed"},"data":null}`, session.Unknown, 0},
	} {
		if got, err := nested.Read(200, []byte(c.body)); err != nil || got.State != c.state || got.Code != c.code {
			t.Errorf("Read(%s) = %+v, %v; want %s, %d", c.body, got, err, c.state, c.code)
		}
	}
	escaped := format(t, session.EndpointConfig{Status: "/a~1b/c~0d", Pending: []string{"p"}, Succeeded: []string{"s"}})
	if got, err := escaped.Read(200, []byte(`{"a/b":{"c~d":"s"},"a~1b":{"c~0d":"p"}}`)); err != nil || got.State != session.Succeeded {
		t.Errorf("with an escaped pointer: %+v, %v; want succeeded", got, err)
	}
	tilde := format(t, session.EndpointConfig{Status: "/~01", Pending: []string{"p"}, Succeeded: []string{"s"}})
	if got, err := tilde.Read(200, []byte(`{"~1":"s","/":"p"}`)); err != nil || got.State != session.Succeeded {
		t.Errorf("with ~01: %+v, %v; want succeeded", got, err)
	}
}

func TestStates(t *testing.T) {
	for state, name := range map[session.State]string{
		session.Unknown: "unknown", session.Pending: "pending", session.Succeeded: "succeeded", session.Refused: "refused",
		session.Expired: "expired", session.Failed: "failed", session.NotFound: "not_found", 200: "unknown",
	} {
		if state.String() != name {
			t.Errorf("String of %d = %s; want %s", state, state, name)
		}
		final := strings.Contains("succeeded refused expired failed", name)
		if state.Final() != final {
			t.Errorf("%s: Final = %t; want %t", name, state.Final(), final)
		}
	}
}
