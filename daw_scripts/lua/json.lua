-- JSON in plain Lua 5.3/5.4: what the mailbox speaks. Numbers keep every bit (%.17g); NaN and infinity are refused.
-- Tables with a first element are arrays, others objects; `json.array{}` marks an empty array, `json.null` is null.

local json = {}

local ARRAY = { __name = "json.array" }
json.null = setmetatable({}, { __tostring = function() return "null" end })

function json.array(list)
  return setmetatable(list or {}, ARRAY)
end

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }
local DEEPEST = 64

local function text2json(text)
  local plain = text:gsub('[%c"\\\127]', function(c)
    return ESCAPES[c] or string.format("\\u%04x", c:byte())
  end)
  return '"' .. plain .. '"'
end

local function number2json(number)
  if math.type(number) == "integer" then return string.format("%d", number) end
  if number ~= number or number == math.huge or number == -math.huge then
    error("JSON has no number for " .. tostring(number), 0)
  end
  -- The DAW may have set a locale whose decimal point is a comma.
  return (string.format("%.17g", number):gsub("[^%d%+%-e]", "."))
end

local function value2json(value, out, depth, pause)
  if depth > DEEPEST then error("JSON: nested too deeply", 0) end
  local kind = type(value)
  if value == json.null then
    out[#out + 1] = "null"
  elseif kind == "string" then
    out[#out + 1] = text2json(value)
  elseif kind == "number" then
    out[#out + 1] = number2json(value)
  elseif kind == "boolean" then
    out[#out + 1] = tostring(value)
  elseif kind ~= "table" then
    error("JSON has no form for a " .. kind, 0)
  elseif getmetatable(value) == ARRAY or value[1] ~= nil then
    out[#out + 1] = "["
    for i, item in ipairs(value) do
      if i > 1 then out[#out + 1] = "," end
      value2json(item, out, depth + 1, pause)
      if pause then pause() end
    end
    out[#out + 1] = "]"
  else
    local names = {}
    for name in pairs(value) do
      if type(name) ~= "string" then error("JSON: a name must be text, not a " .. type(name), 0) end
      names[#names + 1] = name
    end
    table.sort(names)
    out[#out + 1] = "{"
    for i, name in ipairs(names) do
      if i > 1 then out[#out + 1] = "," end
      out[#out + 1] = text2json(name) .. ":"
      value2json(value[name], out, depth + 1, pause)
    end
    out[#out + 1] = "}"
  end
end

-- The JSON text of a value. Raises an error for what JSON cannot say. `pause`, where given, is called after each item
-- of a list: long work on a DAW's thread gives way in it.
function json.encode(value, pause)
  local out = {}
  value2json(value, out, 0, pause)
  return table.concat(out)
end

local UNESCAPES = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function fail(text, at, what)
  error(string.format("JSON: %s at byte %d of %d", what, at, #text), 0)
end

local function skip(text, at)
  return text:find("[^ \t\r\n]", at) or #text + 1
end

local function read_escape(text, at)
  local letter = text:sub(at, at)
  if UNESCAPES[letter] then return UNESCAPES[letter], at + 1 end
  local hex = letter == "u" and text:match("^%x%x%x%x", at + 1)
  if not hex then fail(text, at, "unknown escape") end
  local code, after = tonumber(hex, 16), at + 5
  local low = code >= 0xD800 and code < 0xDC00 and text:match("^\\u([dD][c-fC-F]%x%x)", after)
  if low then
    code = 0x10000 + ((code - 0xD800) << 10) + (tonumber(low, 16) - 0xDC00)
    after = after + 6
  elseif code >= 0xD800 and code < 0xE000 then
    code = 0xFFFD -- half of a pair says nothing
  end
  return utf8.char(code), after
end

local function read_text(text, at)
  local out = {}
  while true do
    local stop = text:find('[%c"\\]', at)
    if not stop then fail(text, #text + 1, "text without an end") end
    out[#out + 1] = text:sub(at, stop - 1)
    local what = text:sub(stop, stop)
    if what == '"' then return table.concat(out), stop + 1 end
    if what ~= "\\" then
      if what ~= "\127" then fail(text, stop, "control character in text") end
      out[#out + 1], at = what, stop + 1
    else
      out[#out + 1], at = read_escape(text, stop + 1)
    end
  end
end

local read_value

local function read_array(text, at, depth, pause)
  local list = json.array()
  at = skip(text, at)
  if text:sub(at, at) == "]" then return list, at + 1 end
  while true do
    list[#list + 1], at = read_value(text, at, depth, pause)
    if pause then pause() end
    at = skip(text, at)
    local mark = text:sub(at, at)
    if mark == "]" then return list, at + 1 end
    if mark ~= "," then fail(text, at, "expected ',' or ']'") end
    at = at + 1
  end
end

local function read_object(text, at, depth, pause)
  local object = {}
  at = skip(text, at)
  if text:sub(at, at) == "}" then return object, at + 1 end
  while true do
    at = skip(text, at)
    if text:sub(at, at) ~= '"' then fail(text, at, "expected a name") end
    local name
    name, at = read_text(text, at + 1)
    at = skip(text, at)
    if text:sub(at, at) ~= ":" then fail(text, at, "expected ':'") end
    object[name], at = read_value(text, at + 1, depth, pause)
    at = skip(text, at)
    local mark = text:sub(at, at)
    if mark == "}" then return object, at + 1 end
    if mark ~= "," then fail(text, at, "expected ',' or '}'") end
    at = at + 1
  end
end

local WORDS = { ["true"] = true, ["false"] = false, ["null"] = json.null }

function read_value(text, at, depth, pause)
  if depth > DEEPEST then fail(text, at, "nested too deeply") end
  at = skip(text, at)
  local mark = text:sub(at, at)
  if mark == "{" then return read_object(text, at + 1, depth + 1, pause) end
  if mark == "[" then return read_array(text, at + 1, depth + 1, pause) end
  if mark == '"' then return read_text(text, at + 1) end
  local word = text:match("^%a+", at)
  if word and WORDS[word] ~= nil then return WORDS[word], at + #word end
  local digits = text:match("^-?%d[%d%.eE%+%-]*", at)
  local whole = digits and digits:match("^-?(%d+)")
  local number = whole and not whole:match("^0%d") and not digits:match("%.$") and tonumber(digits)
  if not number then fail(text, at, "expected a value") end
  return number, at + #digits
end

-- The value of a JSON text. Raises an error that names the byte. `pause` as in `json.encode`.
function json.decode(text, pause)
  local value, at = read_value(text, 1, 0, pause)
  at = skip(text, at)
  if at <= #text then fail(text, at, "more than one value") end
  return value
end

return json
