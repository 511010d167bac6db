-- A REAPER that is pickier than the real one, for tests of scripts: builds itself, then obeys commands on its input.
--
--   lua main.lua CONFIG      CONFIG: a Lua expression of { version, os, home, list, env, device_rate, boots, imgui }
--
-- A command is a line with a count of bytes, then so many bytes of Lua text, which knows `fake`, `user`, `window`,
-- `model` and `keep` (a table that stays). Its result comes back the same way as JSON, after "ok" or "error".

local folder = arg[0]:match("^(.*)[/\\]") or "."
local config = assert(load("return " .. arg[1], "=config"))()

local fake = {
  version_text = config.version, version = tonumber(config.version), os = config.os or "Other", home = config.home,
  env = config.env or {}, device_rate = config.device_rate or 48000.0, boots = config.boots or 1, imgui = config.imgui == true,
  refusals = {}, notes = {}, crashes = {}, modals = {}, console = {}, help = {}, executed = {}, native = {}, registered = {}, written = {},
  renamed = {}, removed = {}, worst = {}, owed = {}, unsorted = {}, frozen = 0, opens = 0, frames_read = 0,
  ticks_cost = 0.0, by_user = false,
}

-- What REAPER would refuse: an error in the script, remembered even where the script catches it.
function fake.refuse(text, level)
  fake.refused(text)
  error(text, (level or 1) + 1)
end

function fake.refused(text) fake.refusals[#fake.refusals + 1] = text end

-- What REAPER would allow but a good script does not do.
function fake.note(text) fake.notes[#fake.notes + 1] = text end

local function part(name) return assert(loadfile(folder .. "/" .. name .. ".lua"))()(fake) end

fake.model = part("model")
fake.api = part("api")
fake.api.read(config.list)
fake.tempo = part("tempo")
part("tracks")
part("items")
fake.window = part("window")
part("imgui")
part("scripts")
part("sources")
part("midi")
part("marks")
part("projects")
fake.dump = part("rpp")
part("host")
fake.user = part("user")
fake.model.new_project("")

for name in pairs(fake.api.signatures) do
  assert(fake.api.impl[name], name .. " is in the list but the fake has none")
end
for name in pairs(fake.api.impl) do
  assert(fake.api.signatures[name], name .. " is in the fake but not in the list")
end

-- Sources and accessors that nobody gave back.
function fake.leaks()
  local sources, accessors = 0, 0
  for _ in pairs(fake.model.free_sources) do sources = sources + 1 end
  for _ in pairs(fake.model.accessors) do accessors = accessors + 1 end
  return sources, accessors
end

local known = setmetatable({
  fake = fake, user = fake.user, window = fake.window, model = fake.model, keep = {},
}, { __index = _G })

-- JSON of plain values. A table with a first element is an array; an empty one is an object.
local function json(value)
  if type(value) == "table" then
    local parts = {}
    if value[1] ~= nil then
      for i, one in ipairs(value) do parts[i] = json(one) end
      return "[" .. table.concat(parts, ",") .. "]"
    end
    for k, v in pairs(value) do parts[#parts + 1] = json(tostring(k)) .. ":" .. json(v) end
    return "{" .. table.concat(parts, ",") .. "}"
  elseif type(value) == "string" then
    return '"' .. value:gsub('[%c"\\]', function(c) return string.format("\\u%04x", c:byte()) end) .. '"'
  elseif math.type(value) == "float" then
    return string.format("%.17g", value)
  elseif type(value) == "number" or type(value) == "boolean" then
    return tostring(value)
  end
  return "null"
end

local function answer(kind, text)
  io.stdout:write(kind, " ", #text, "\n", text)
  io.stdout:flush()
end

while true do
  local size = io.stdin:read("n", "l")
  if not size then break end
  local text = io.stdin:read(size)
  local chunk, why = load(text, "=command", "t", known)
  if not chunk then
    answer("error", why)
  else
    local ok, found = xpcall(chunk, function(trouble) return debug.traceback(tostring(trouble), 2) end)
    if ok then answer("ok", json(found)) else answer("error", found) end
  end
end
