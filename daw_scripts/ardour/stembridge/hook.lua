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

  -- The log for everything; a window only for what needs the user, and never while the transport rolls.
  local function say(kind, text)
    print("stembridge: " .. text:gsub("\n", " "))
    if (kind ~= "error" and kind ~= "warning") or Session:transport_rolling() then return end
    local types = { error = LuaDialog.MessageType.Error, warning = LuaDialog.MessageType.Warning }
    LuaDialog.Message("stembridge", text, types[kind], LuaDialog.ButtonType.Close):run()
  end

  function hook.folder()
    return (Session:path():gsub("(.)[/\\]+$", "%1")) .. "/stembridge"
  end

  function hook.start()
    local folder = hook.folder()
    return band.new(use, mailbox.open(mailbox.data_folder(os.getenv), json, os.time), {
      folder = folder,
      now = os.time,
      now_us = function() return ARDOUR.LuaAPI.monotonic_time() end,
      random = random,
      describe = function(job) return project.describe(job, folder) end,
      recording = function() return Session:actively_recording() end,
      landed = place.landed,
      place = place.place,
      finish = function() Session:save_state("") end,
      say = say,
    })
  end

  return hook
end
