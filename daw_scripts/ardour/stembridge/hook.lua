-- The band of the open session, with Ardour as its host.

return function(use)
  local band, json, mailbox = use("band"), use("json"), use("mailbox")
  local project, place = use("project"), use("place")

  local hook = {}

  -- Random bytes: the system's where it offers them, else from clocks (ids need to differ, not to be secret).
  local function random(count)
    local file = io.open("/dev/urandom", "rb")
    local bytes = file and file:read(count)
    if file then file:close() end
    if bytes and #bytes == count then return bytes end
    math.randomseed(os.time() ~ ARDOUR.LuaAPI.monotonic_time())
    local made = {}
    for i = 1, count do made[i] = string.char(math.random(0, 255)) end
    return table.concat(made)
  end

  -- Everything goes to the log; what needs the user gets a window, once the transport stands still: a window that is
  -- opened from a timer holds up Ardour's other timers until it is closed.
  local function speaker()
    local windows = {}
    local types = { error = LuaDialog.MessageType.Error, warning = LuaDialog.MessageType.Warning }
    local function say(kind, text)
      print("stembridge: " .. text:gsub("\n", " "))
      if types[kind] then windows[#windows + 1] = { kind = types[kind], text = text } end
    end
    local function show()
      if #windows == 0 or Session:transport_rolling() then return end
      local window = table.remove(windows, 1)
      LuaDialog.Message("stembridge", window.text, window.kind, LuaDialog.ButtonType.Close):run()
    end
    return say, show
  end

  function hook.folder()
    return (Session:path():gsub("(.)[/\\]+$", "%1")) .. "/stembridge"
  end

  -- The function that a timer calls ten times a second.
  function hook.start()
    local folder = hook.folder()
    local say, show = speaker()
    local title -- of a job that is over and has no undo step yet

    -- Making the step takes regions off for a moment, which could be heard while the transport rolls.
    local function commit()
      if not title or Session:transport_rolling() then return end
      local ok, trouble = pcall(place.commit, title)
      if not ok then say("info", "This cannot be undone in one step: " .. tostring(trouble)) end
      title = nil
    end

    local player = band.new(use, mailbox.open(mailbox.data_folder(os.getenv), json, os.time), {
      folder = folder,
      now = os.time,
      now_us = function() return ARDOUR.LuaAPI.monotonic_time() end,
      random = random,
      describe = function(job, wish, base) return project.describe(job, folder, wish, base) end,
      recording = function() return Session:actively_recording() end,
      landed = place.landed,
      place = place.place,
      renumber = place.renumber,
      finish = function(name)
        title = name
        Session:save_state("")
      end,
      say = say,
    })
    return function()
      player:tick()
      commit()
      show()
    end
  end

  return hook
end
