-- What the actions in the menu do: check, then leave a wish for the hook, which works it off tick by tick.
-- Refusals are shown here at once; a window that an action opens does not hold up Ardour's timers.

return function(use)
  local json, mailbox, project, place = use("json"), use("mailbox"), use("project"), use("place")
  local request, hook, band, audio = use("request"), use("hook"), use("band"), use("audio")
  local ledger, takes, version = use("ledger"), use("takes"), use("version")

  local wish = {}
  local TAKEN_WITHIN = 2 -- seconds; a hook that is active takes a wish within a tenth of that
  local NO_HOOK = "The stembridge hook is not active. Add it once: Edit > Lua Scripts > Script Manager > "
    .. "Action Hooks > New Hook > stembridge."

  local function show(kind, text)
    LuaDialog.Message("stembridge", text, LuaDialog.MessageType[kind], LuaDialog.ButtonType.Close):run()
  end

  local function box()
    return mailbox.open(mailbox.data_folder(os.getenv), json, os.time)
  end

  local function can_write(folder)
    local path = folder .. "/.probe"
    local file = io.open(path, "wb")
    if file then file:close() end
    return file ~= nil and os.remove(path) ~= nil
  end

  -- Ardour's Lua makes no folders itself.
  local function make_folder(path)
    if can_write(path) then return end
    if path:match("^%a:[/\\]") then
      os.execute('mkdir "' .. path:gsub("/", "\\") .. '"')
    else
      os.execute("mkdir -p '" .. path:gsub("'", "'\\''") .. "'")
    end
    if not can_write(path) then
      error("The folder " .. path .. " cannot be written to. Save the session elsewhere.", 0)
    end
  end

  local function leave(wanted)
    local path = hook.folder() .. "/ask.json"
    local earlier = box():object(path)
    if earlier and os.time() - (tonumber(earlier.time) or 0) >= TAKEN_WITHIN then
      os.remove(path)
      error(NO_HOOK, 0)
    end
    wanted.time = os.time()
    mailbox.write(path, json.encode(wanted))
  end

  function wish.settings()
    return request.settings(box():object(hook.folder() .. "/settings.json"))
  end

  local function book() return ledger.open(hook.folder(), mailbox, json) end

  -- Raises an error with the reason when the band cannot be asked now.
  local function check_free()
    local engine, why = box():engine()
    why = why or mailbox.mismatch(engine, version.protocol, band.UPDATE)
    if why then error(why, 0) end
    if mailbox.read(hook.folder() .. "/running.json") then
      local status = box():object(hook.folder() .. "/status.json") or {}
      error("The band is still playing: " .. tostring(status.text or "")
        .. "\nWait until it is done, or use 'stembridge: Cancel'.", 0)
    end
  end

  -- Leaves a wish (see `asking`), or raises an error with the reason: what is wrong is better said at once. `record` is
  -- what was asked for the take that it is about.
  local function ask_band(wanted, record)
    project.check_marks(wanted, record and record.request)
    make_folder(hook.folder() .. "/context")
    make_folder(hook.folder() .. "/asked")
    wanted.settings = wish.settings()
    leave(wanted)
  end

  local function guarded(work)
    return function()
      local ok, trouble = pcall(work)
      if not ok then show("Error", tostring(trouble)) end
    end
  end

  wish.generate = guarded(function()
    check_free()
    ask_band({ ask = "generate", selection = project.selection() })
  end)

  wish.reroll = guarded(function()
    check_free()
    local selection = project.selection()
    local take, record, stems = takes.choose(place.heard(), book(), selection)
    ask_band({ ask = "reroll", selection = selection, take = take, stems = json.array(stems) }, record)
  end)

  wish.add = guarded(function()
    check_free()
    local take, record = takes.choose(place.heard(), book(), project.selection())
    local roles = {}
    for _, role in ipairs(request.ROLES) do roles[role] = role end
    local chosen = LuaDialog.Dialog("stembridge: Add part", {
      { type = "dropdown", key = "role", title = "Part", values = roles, default = "guitar" },
      { type = "entry", key = "instrument", title = "Instrument (words)", default = "" },
    }):run()
    if not chosen then return end
    ask_band({ ask = "add", take = take, stem = { role = chosen.role, instrument = chosen.instrument } }, record)
  end)

  wish["continue"] = guarded(function()
    check_free()
    local take, record = takes.last(place.heard(), book())
    ask_band({ ask = "continue", selection = project.selection(), take = take }, record)
  end)

  -- The notes of the take that plays get the reference's sound; before there is a take, the band plays a first one.
  wish.match = guarded(function()
    check_free()
    local clips, ids = audio.selected()
    if #clips == 0 then error("Select the audio region whose sound the band shall match.", 0) end
    local wanted = { ask = "match", references = clips, reference_ids = json.array() }
    for id in pairs(ids) do table.insert(wanted.reference_ids, id) end
    local has_played, take, record = pcall(takes.choose, place.heard(), book(), nil)
    if has_played then wanted.take = take end
    ask_band(wanted, has_played and record or nil)
  end)

  wish.next = guarded(function()
    check_free()
    local take, record = takes.choose(place.heard(), book(), project.selection())
    ask_band({ ask = "next", take = take }, record)
  end)

  wish.cancel = guarded(function()
    if not mailbox.read(hook.folder() .. "/running.json") then return show("Info", "Nothing is running.") end
    leave({ ask = "cancel" })
  end)

  wish.progress = guarded(function()
    local status = box():object(hook.folder() .. "/status.json")
    local text = status and tostring(status.text) or "Nothing was asked in this session yet."
    if status and status.state == "waiting" and tonumber(status.stems) then
      text = text .. "\n" .. band.stems(status.stems) .. " landed so far."
    end
    show("Info", text)
  end)

  wish.edit_settings = guarded(function()
    local settings = wish.settings()
    local rows = {
      { type = "entry", key = "style", title = "Style (words)", default = settings.style },
      { type = "number", key = "seed", title = "Seed (0: a new one each time)", min = 0, max = 2147483647, step = 1,
        digits = 0, default = settings.seed },
      { type = "number", key = "takes", title = "Takes", min = 1, max = 8, step = 1, digits = 0,
        default = settings.takes },
    }
    for _, role in ipairs(request.ROLES) do
      rows[#rows + 1] = { type = "checkbox", key = role, title = role, default = settings.stems[role] }
    end
    local chosen = LuaDialog.Dialog("stembridge: Settings", rows):run()
    if not chosen then return end
    local stems = {}
    for _, role in ipairs(request.ROLES) do stems[role] = chosen[role] end
    make_folder(hook.folder() .. "/context")
    local stored = request.settings({ style = chosen.style, seed = chosen.seed, takes = chosen.takes, stems = stems })
    mailbox.write(hook.folder() .. "/settings.json", json.encode(stored))
  end)

  return wish
end
