-- Asks for {{.Sessions}} session(s) in turn and reports as one line.
local sessions = {{.Sessions}}
local threads = 0

local function path(n)
  return string.format("{{.Path}}", n)
end

-- Each thread begins elsewhere, or they would all ask for the same session.
function setup(thread)
  thread:set("first", math.floor(threads * sessions / {{.Threads}}))
  threads = threads + 1
end

wrk.method = "{{.Method}}"
wrk.path = path(0)
{{- if eq .Method "POST"}}
wrk.body = [[{{.Body}}]]
wrk.headers["Content-Type"] = "application/json"
{{- end}}

-- With one session wrk repeats one request by itself, which costs it less.
if sessions > 1 then
  local requests = {}
  local n = 0

  function init(args)
    for i = 0, sessions - 1 do
      requests[i] = wrk.format(nil, path(i))
    end
    n = first
  end

  function request()
    n = (n + 1) % sessions
    return requests[n]
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("bench-summary requests=%d failed=%d microseconds=%d p99=%d\n", summary.requests,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout, summary.duration, latency:percentile(99)))
end
