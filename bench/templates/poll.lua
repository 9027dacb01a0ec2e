-- Polls {{.Sessions}} session(s) in turn and reports as one line.
local sessions = {{.Sessions}}
local threads = 0

local function path(n)
  return "{{.Prefix}}" .. string.format("{{.TokenFormat}}", n) .. "{{.Suffix}}"
end

-- Each thread begins elsewhere, or they would all ask for the same session.
function setup(thread)
  thread:set("first", math.floor(threads * sessions / {{.Threads}}))
  threads = threads + 1
end

wrk.method = "POST"
wrk.path = path(0)
wrk.body = [[{{.Body}}]]
wrk.headers["Content-Type"] = "application/json"

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

{{template "summary"}}
