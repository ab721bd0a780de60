-- Asks Doorward whether a request to {{ app }} may pass. Loaded by HAProxy 2.5 and later.
-- Made by: doorward proxy-config haproxy --lua
local GATE = "{{ doorward }}{{ base }}/gate"
local IDENTITY = { {% for name in identity %}"{{ name | lower }}"{% if not loop.last %}, {% endif %}{% endfor %} }
-- Headers of a connection or of a body: they are not the question's.
local NOT_ASKED = { connection = true, upgrade = true, ["content-length"] = true, ["transfer-encoding"] = true,
  te = true, trailer = true, expect = true, ["keep-alive"] = true, ["proxy-connection"] = true, host = true }
-- What belongs to our own connection to Doorward, and is not passed on with its answer.
local NOT_PASSED = { connection = true, ["transfer-encoding"] = true, ["content-length"] = true, ["keep-alive"] = true }

local function refuse(txn, status, headers, body)
  local reply = txn:reply({ status = status, body = body or "" })
  for name, values in pairs(headers) do
    if not NOT_PASSED[name] then
      for _, value in pairs(values) do reply:add_header(name, value) end
    end
  end
  txn:done(reply)
end

core.register_action("doorward", { "http-req" }, function(txn)
  local headers = {}
  for name, values in pairs(txn.http:req_get_headers()) do
    if not NOT_ASKED[name] then
      headers[name] = {}
      for _, value in pairs(values) do table.insert(headers[name], value) end
    end
  end
  headers["host"] = { "{{ own }}" }
  headers["x-forwarded-proto"] = { "{{ scheme }}" }
  headers["x-forwarded-host"] = { "{{ app }}" }
  headers["x-forwarded-uri"] = { txn.sf:pathq() }
  headers["x-forwarded-method"] = { txn.sf:method() }
  local answer = core.httpclient():get({ url = GATE, headers = headers, timeout = 5000 })
  if not answer or answer.status == nil or answer.status < 200 or answer.status == 502 or answer.status == 504 then
    refuse(txn, 503, { ["retry-after"] = { "2" }, ["cache-control"] = { "no-store" }, ["content-type"] = { "text/plain" } },
      "The sign-in is not answering. You have not been signed out: try again in a moment.\n")
    return
  end
  if answer.status ~= 200 then
    refuse(txn, answer.status, answer.headers, answer.body)
    return
  end
  for _, name in ipairs(IDENTITY) do
    local values = answer.headers[name]
    txn.http:req_set_header(name, values and values[0] or "")
  end
end, 0)
