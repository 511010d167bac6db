-- Running scripts: each action in a Lua state of its own, with what REAPER's Lua has; deferred functions, thirty ticks a
-- second by a clock that only work moves; files that can run out of disk.

return function(fake)
  local impl = fake.api.impl
  local running, current = {}, nil
  local TICK = 1 / 30
  local COST = { call = 2e-6, open = 60e-6, byte = 2e-9, frame = 2e-7 }

  fake.tick_number, fake.offset = 0, 0.0
  local spent, began = 0.0, os.clock()

  -- The clock --------------------------------------------------------------------------------------------------------

  function fake.spend(kind, count) spent = spent + COST[kind] * (count or 1) end

  local function reset_spent()
    spent, began = 0.0, os.clock()
    fake.api.calls, fake.opens, fake.frames_read, fake.api.inside = 0, 0, 0, 0.0
  end

  -- It moves by what calls and files cost; with `fake.counts_script` by the script's own processor time too, as REAPER's
  -- does. That makes each run another one: it is for measuring.
  function impl.time_precise()
    local own = fake.counts_script and os.clock() - began - fake.api.inside or 0.0
    return 1000.0 + fake.tick_number * TICK + spent + fake.api.calls * COST.call + own
  end

  -- Files ------------------------------------------------------------------------------------------------------------

  local NO_SPACE = "No space left on device"
  local handles = setmetatable({}, { __mode = "k" })

  -- A file being written, which fails when the disk is full: some bytes of a write may still land, as on a real one.
  local function writer(path, real)
    local file = {}
    handles[file] = true
    local failed = false
    local methods = {}

    function methods.write(self, ...)
      for _, value in ipairs({ ... }) do
        local bytes = tostring(value)
        fake.spend("byte", #bytes)
        if fake.disk_left then
          if #bytes > fake.disk_left then
            real:write(bytes:sub(1, fake.disk_left))
            fake.disk_left, failed = 0, true
            return nil, path .. ": " .. NO_SPACE, 28
          end
          fake.disk_left = fake.disk_left - #bytes
        end
        local ok, why, code = real:write(bytes)
        if not ok then return nil, why, code end
      end
      return self
    end

    function methods.flush(self)
      if failed then return nil, NO_SPACE, 28 end
      real:flush()
      return self
    end

    function methods.close()
      handles[file] = false
      real:close()
      if failed then return nil, NO_SPACE, 28 end
      return true
    end

    function methods.seek(_, ...) return real:seek(...) end

    function methods.setvbuf(_, ...) return real:setvbuf(...) end

    function methods.read(_, ...) return real:read(...) end

    return setmetatable(file, { __index = methods, __name = "FILE*", __metatable = false })
  end

  local real_open = io.open

  local function open(path, mode)
    fake.opens = fake.opens + 1
    fake.spend("open")
    mode = mode or "r"
    local writing = mode:find("[wa+]") ~= nil
    if writing and fake.disk_left == 0 and mode:find("w") then
      local empty = real_open(path, mode)
      if not empty then return real_open(path, mode) end
      fake.written[path] = true
      return writer(path, empty)
    end
    local file, why, code = real_open(path, mode)
    if not file or not writing then return file, why, code end
    fake.written[path] = true
    return writer(path, file)
  end

  fake.open = open

  local function guarded_io()
    local function refused(name)
      return function() fake.refuse("io." .. name .. " is no use in REAPER", 2) end
    end
    return {
      open = open, lines = function(path, ...)
        fake.opens = fake.opens + 1
        return io.lines(path, ...)
      end,
      type = function(value)
        if handles[value] ~= nil then return handles[value] and "file" or "closed file" end
        return io.type(value)
      end,
      close = function(file) return file:close() end,
      popen = refused("popen"), read = refused("read"), write = refused("write"), input = refused("input"),
      output = refused("output"), tmpfile = io.tmpfile,
    }
  end

  local function guarded_os()
    return {
      time = function(when) return when and os.time(when) or os.time() + math.floor(fake.offset) end,
      clock = os.clock, date = os.date, difftime = os.difftime, tmpname = os.tmpname, setlocale = os.setlocale,
      getenv = function(name) return fake.env[name] end,
      rename = function(from, to)
        fake.spend("open")
        fake.renamed[to] = true
        return os.rename(from, to)
      end,
      remove = function(path)
        fake.spend("open")
        fake.removed[#fake.removed + 1] = path
        return os.remove(path)
      end,
      execute = function() fake.refuse("os.execute blocks REAPER and flashes a console", 2) end,
      exit = function() fake.refuse("os.exit ends REAPER", 2) end,
    }
  end

  -- A script's globals -----------------------------------------------------------------------------------------------

  local function copied(library)
    local twin = {}
    for k, v in pairs(library) do twin[k] = v end
    return twin
  end

  local function new_environment(instance)
    local env = {}
    for _, name in ipairs({
      "assert", "collectgarbage", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget",
      "rawlen", "rawset", "select", "setmetatable", "tonumber", "tostring", "xpcall", "_VERSION",
    }) do
      env[name] = _G[name]
    end
    for _, name in ipairs({ "string", "table", "math", "utf8", "coroutine", "debug" }) do env[name] = copied(_G[name]) end
    env._G = env
    env.io, env.os = guarded_io(), guarded_os()
    env.reaper, env.gfx = fake.api.namespace(), fake.window.namespace()
    function env.type(...)
      local value = ...
      if fake.api.is_pointer(value) or fake.arrays.is(value) or handles[value] ~= nil then return "userdata" end
      return type(...)
    end
    function env.print() fake.refuse("print goes nowhere in REAPER", 2) end
    function env.load(chunk, name, mode, given) return load(chunk, name, mode or "bt", given or env) end
    function env.loadfile(path, mode, given)
      fake.opens = fake.opens + 1
      return loadfile(path, mode or "bt", given or env)
    end
    function env.dofile(path) return assert(env.loadfile(path))() end
    env.package = { path = "", cpath = "", config = package.config, loaded = {}, preload = {}, searchpath = package.searchpath }
    for _, name in ipairs({ "string", "table", "math", "utf8", "coroutine", "debug", "io", "os" }) do
      env.package.loaded[name] = env[name]
    end
    function env.require(name)
      if env.package.loaded[name] == nil then
        local path, why = package.searchpath(name, env.package.path)
        if not path then error("module '" .. name .. "' not found:" .. why, 2) end
        local answer = assert(env.loadfile(path))(name, path)
        env.package.loaded[name] = answer == nil and true or answer
      end
      return env.package.loaded[name]
    end
    instance.env = env
    return env
  end

  -- Running ----------------------------------------------------------------------------------------------------------

  local function protected(instance, call)
    local before = current
    current = instance
    local ok, trouble = xpcall(call, function(why) return debug.traceback(tostring(why), 2) end)
    current = before
    if not ok then
      instance.ended, instance.queue = true, {}
      fake.crashes[#fake.crashes + 1] = trouble
    end
    return ok
  end

  local function finish(instance)
    if instance.ended or #instance.queue > 0 then return end
    instance.ended = true
    for _, last in ipairs(instance.at_exit) do protected(instance, last) end
  end

  local function settle_tick()
    local function owes(what) fake.refused(what .. " at the end of the tick") end
    for name, why in pairs(fake.owed) do owes(why .. " without " .. name) end
    fake.owed = {}
    if fake.frozen ~= 0 then owes("PreventUIRefresh stands at " .. fake.frozen) end
    for source in pairs(fake.unsorted) do
      owes("an unsorted MIDI take")
      fake.sort_midi(source)
    end
    fake.imgui_hand.settle(owes)
    for _, project in ipairs(fake.model.projects) do
      if #project.blocks > 0 then owes("an open undo block") end
    end
    for i = #running, 1, -1 do
      if running[i].ended then table.remove(running, i) end
    end
  end

  -- Runs an action as the user does: a file, or `text` under that name. True unless it failed, and what it returned.
  function fake.run(path, text)
    local instance = { path = path, queue = {}, at_exit = {}, ended = false, deferred = false }
    for _, other in ipairs(running) do
      if other.path == path and not other.ended then
        if other.options and other.options & 1 ~= 0 then
          other.queue = {}
          finish(other)
          if other.options & 2 == 0 then return true end
        else
          fake.modal("ReaScript task control", path)
        end
      end
    end
    local nested = current ~= nil
    if not nested then reset_spent() end
    local project = fake.model.current
    local points = project.at
    local chunk, why
    if text then chunk, why = load(text, "=" .. path, "t", new_environment(instance))
    else chunk, why = loadfile(path, "t", new_environment(instance)) end
    if not chunk then
      fake.crashes[#fake.crashes + 1] = why
      return false
    end
    running[#running + 1] = instance
    local found
    local ok = protected(instance, function() found = table.pack(chunk()) end)
    if ok and not instance.deferred and project.at == points then
      fake.note("an automatic undo point by " .. path:match("[^/\\]*$"))
      fake.model.settle(project, "ReaScript: " .. path:match("[^/\\]*$"))
    end
    finish(instance)
    if not nested then settle_tick() end
    if not ok then return false end
    return true, table.unpack(found, 1, found.n)
  end

  -- One turn of REAPER's main loop. Gives what it cost: API calls, files opened, seconds of processor time, and of
  -- these the script's own (what was not spent inside the API, where the fake checks more than REAPER does).
  function fake.tick()
    fake.tick_number = fake.tick_number + 1
    reset_spent()
    fake.window.turn()
    local started = os.clock()
    for _, instance in ipairs({ table.unpack(running) }) do
      local queue = instance.queue
      instance.queue = {}
      for _, call in ipairs(queue) do
        if not instance.ended then protected(instance, call) end
      end
      finish(instance)
    end
    local cost = {
      calls = fake.api.calls, opens = fake.opens, frames = fake.frames_read, seconds = os.clock() - started,
      virtual = spent + fake.api.calls * COST.call,
    }
    cost.script = cost.seconds - fake.api.inside
    settle_tick()
    for name, value in pairs(cost) do fake.worst[name] = math.max(fake.worst[name] or 0, value) end
    fake.ticks_cost = fake.ticks_cost + cost.seconds
    return cost
  end

  function fake.running()
    local names = {}
    for i, instance in ipairs(running) do names[i] = instance.path:match("[^/\\]*$") end
    return names
  end

  -- REAPER is closed: scripts may say goodbye.
  function fake.quit()
    for _, instance in ipairs({ table.unpack(running) }) do
      instance.queue = {}
      finish(instance)
    end
    running = {}
  end

  function impl.defer(call)
    current.deferred = true
    table.insert(current.queue, call)
    return true
  end

  function impl.atexit(call) table.insert(current.at_exit, call) end

  function impl.get_action_context()
    return false, current.path, 0, fake.command_of(current.path), -1, -1, -1
  end

  function impl.set_action_options(flags)
    if flags & ~15 ~= 0 then fake.refuse("set_action_options(" .. flags .. ")", 3) end
    current.options = flags
  end
end
