-- The functions of REAPER as its documentation lists them: what is not listed, or not in this version, is an error.
-- Arguments are counted and checked without any coercion; results are given the types that REAPER gives them.
--
-- A pointer is a table that knows nothing: it cannot be looked into, only handed back. `type` calls it userdata.

local POINTERS = {
  ReaProject = true, MediaTrack = true, MediaItem = true, MediaItem_Take = true, PCM_source = true,
  AudioAccessor = true, ProjectMarker = true, ImGui_Context = true,
}

-- Names and texts that REAPER writes into project files and .ini files; other strings may hold any bytes but NUL.
local BYTES = { ["MIDI_SetAllEvts.buf"] = true, ["MIDI_GetTextSysexEvt.msg"] = true }

return function(fake)
  local api = { signatures = {}, impl = {}, calls = 0, called = {}, inside = 0 }

  -- Pointers ---------------------------------------------------------------------------------------------------------

  local objects, pointers = setmetatable({}, { __mode = "k" }), setmetatable({}, { __mode = "kv" })
  local count = 0

  local function forbidden(pointer)
    fake.refuse("attempt to index a " .. rawget(pointer, "kind") .. " (a userdata value)", 2)
  end

  -- The pointer of an object of the model: always the same one.
  function api.pointer(kind, object)
    if object == nil then return nil end
    assert(POINTERS[kind], kind)
    local pointer = pointers[object]
    if not pointer then
      count = count + 1
      local text = string.format("userdata: 0x%08x", 0x1000 + count * 16)
      pointer = setmetatable({ kind = kind }, {
        __index = forbidden, __newindex = forbidden, __pairs = forbidden, __len = forbidden, __name = "userdata",
        __tostring = function() return text end, __metatable = false,
      })
      pointers[object], objects[pointer] = pointer, object
    end
    return pointer
  end

  function api.is_pointer(value) return type(value) == "table" and objects[value] ~= nil end

  -- The object behind a pointer, or nil when it is of another kind or is gone.
  function api.object(value, kind)
    if type(value) ~= "table" or not objects[value] or rawget(value, "kind") ~= kind then return nil end
    local object = objects[value]
    if not fake.model.alive(kind, object) then return nil end
    return object
  end

  -- Signatures -------------------------------------------------------------------------------------------------------

  local function split(list)
    local found = {}
    for part in (list .. ","):gmatch("%s*(.-)%s*,") do
      if part ~= "" then
        local optional, rest = part:match("^(optional)%s+(.*)$")
        local kind, name = (rest or part):match("^([%w_%.]+)%s*(.*)$")
        found[#found + 1] = { kind = kind, name = name, optional = optional ~= nil }
      end
    end
    return found
  end

  function api.parse(name, since, text)
    local results, called, arguments = text:match("^(.-)%s*=?%s*reaper%.([%w_]+)%((.*)%)$")
    assert(called == name, "signature of " .. name .. ": " .. text)
    local signature = { name = name, since = tonumber(since), results = split(results) }
    signature.arguments = name == "new_array" and {} or split(arguments)
    return signature
  end

  function api.read(path)
    for line in io.lines(path) do
      local name, since, text = line:match("^([%w_]+)\t([%d%.]+)\t(.*)$")
      if name and name ~= "name" then api.signatures[name] = api.parse(name, since, text) end
    end
  end

  function api.exists(name)
    local signature = api.signatures[name]
    if name:find("^ImGui_") then return signature ~= nil and fake.imgui end
    return signature ~= nil and signature.since <= fake.version
  end

  -- Checks -----------------------------------------------------------------------------------------------------------

  local function describe(value)
    if api.is_pointer(value) then return rawget(value, "kind") end
    return type(value) == "number" and math.type(value) .. " " .. tostring(value) or type(value)
  end

  local function refuse(signature, position, wanted, value, why)
    local what = why or (wanted .. " expected, got " .. describe(value))
    fake.refuse(string.format("bad argument #%d to '%s' (%s)", position, signature.name, what), 4)
  end

  local check = {}

  function check.integer(value, refused)
    if math.type(value) == nil then refused("integer") end
    local whole = math.tointeger(value)
    if not whole then refused(nil, "number has no integer representation") end
    if whole < -2147483648 or whole > 4294967295 then refused(nil, "number does not fit 32 bits") end
    return whole
  end

  function check.number(value, refused)
    if math.type(value) == nil then refused("number") end
    if value ~= value or value == math.huge or value == -math.huge then refused(nil, "number is not finite") end
    return value + 0.0
  end

  function check.boolean(value, refused)
    if type(value) ~= "boolean" then refused("boolean") end
    return value
  end

  function check.string(value, refused, full)
    if type(value) ~= "string" then refused("string") end
    if not BYTES[full] then
      if value:find("\0", 1, true) then refused(nil, "string holds NUL, where REAPER stops reading") end
      if not utf8.len(value) then refused(nil, "string is not UTF-8") end
    end
    return value
  end

  check["function"] = function(value, refused)
    if type(value) ~= "function" then refused("function") end
    return value
  end

  function check.identifier(value, refused)
    if not api.is_pointer(value) then refused("userdata") end
    return value
  end

  check["reaper.array"] = function(value, refused)
    if not fake.arrays.is(value) then refused("reaper.array") end
    return value
  end

  function check.ReaProject(value, refused)
    if value == nil or value == 0 then return fake.model.current end
    local project = api.object(value, "ReaProject")
    if not project then
      local gone = api.is_pointer(value) and rawget(value, "kind") == "ReaProject"
      refused("ReaProject", gone and "ReaProject expected: it was closed" or nil)
    end
    return project
  end

  for kind in pairs(POINTERS) do
    check[kind] = check[kind] or function(value, refused)
      local object = api.object(value, kind)
      if object then return object end
      local gone = api.is_pointer(value) and rawget(value, "kind") == kind
      refused(kind, gone and kind .. " expected: this one is gone" or nil)
    end
  end

  local function checked(signature, given)
    local arguments = {}
    local wanted = signature.arguments
    if given.n > #wanted then
      fake.refuse(string.format("'%s' takes %d arguments, got %d", signature.name, #wanted, given.n), 3)
    end
    for i, argument in ipairs(wanted) do
      local value = given[i]
      if not (argument.optional and value == nil) then
        if i > given.n and argument.kind ~= "ReaProject" then refuse(signature, i, nil, nil, "got no value") end
        if i > given.n then refuse(signature, i, nil, nil, "got no project: nil or 0 means the current one") end
        local function refused(kind, why) refuse(signature, i, kind, value, why) end
        arguments[i] = check[argument.kind](value, refused, signature.name .. "." .. argument.name)
      end
    end
    return arguments
  end

  -- REAPER 6 gave integers that come out beside the main result ("number" in its documentation) as floats.
  local function results_of(signature, found)
    for i = 1, math.max(found.n, #signature.results) do
      local wanted, value = signature.results[i], found[i]
      if not wanted then error(signature.name .. ": the fake gives too many results") end
      local kind = wanted.kind
      local right = value == nil and (wanted.optional or POINTERS[kind] or kind == "string" and wanted.name == "")
        or kind == "integer" and math.type(value) == "integer"
        or kind == "number" and type(value) == "number"
        or (kind == "boolean" or kind == "string") and type(value) == kind
        or POINTERS[kind] and api.is_pointer(value) and rawget(value, "kind") == kind
        or kind == "ReaperArray"
      if not right then
        error(string.format("%s: the fake gives %s as result %d (%s)", signature.name, describe(value), i, kind))
      end
      if kind == "number" and fake.version < 7 then found[i] = value + 0.0 end
    end
    return table.unpack(found, 1, math.max(found.n, #signature.results))
  end

  function api.function_of(name)
    local signature, impl = api.signatures[name], api.impl[name]
    assert(impl, name .. " is in the list but not in the fake")
    return function(...)
      api.calls = api.calls + 1
      api.called[name] = (api.called[name] or 0) + 1
      if name == "new_array" then return impl(...) end
      local began = os.clock()
      local arguments = checked(signature, table.pack(...))
      local given = table.pack(impl(table.unpack(arguments, 1, #signature.arguments)))
      local found = table.pack(results_of(signature, given))
      api.inside = api.inside + os.clock() - began
      return table.unpack(found, 1, found.n)
    end
  end

  -- The table `reaper` of one script.
  function api.namespace()
    local known = {}
    return setmetatable({}, {
      __index = function(_, name)
        if known[name] then return known[name] end
        local signature = api.signatures[name]
        if not signature then fake.refuse("reaper." .. tostring(name) .. " is not in the list of functions", 2) end
        if not api.exists(name) then
          local came = name:find("^ImGui_") and "an extension" or signature.since
          fake.refuse(string.format("reaper.%s came with %s; this is %s", name, came, fake.version_text), 2)
        end
        known[name] = api.function_of(name)
        return known[name]
      end,
      __newindex = function(_, name) fake.refuse("reaper." .. tostring(name) .. " is written to", 2) end,
      __metatable = false,
    })
  end

  return api
end
