-- The program around the projects: messages, dialogs, stored values, commands, folders, the versions and systems.
--
-- A dialog stops REAPER until the user answers, so each one must be expected: `fake.answer(kind, ...)` beforehand.

return function(fake)
  local impl = fake.api.impl

  -- Dialogs and messages ---------------------------------------------------------------------------------------------

  local expected = {}

  function fake.answer(kind, ...) table.insert(expected, { kind = kind, values = table.pack(...) }) end

  function fake.expected() return #expected end

  -- The user's answer to a dialog; the dialog is remembered with its text.
  function fake.modal(kind, text)
    fake.modals[#fake.modals + 1] = { kind = kind, text = text }
    local answer = table.remove(expected, 1)
    if not answer then fake.refuse("a dialog that nobody expects: " .. kind .. ": " .. text, 4) end
    if answer.kind ~= kind then fake.refuse(kind .. " where " .. answer.kind .. " was expected: " .. text, 4) end
    return table.unpack(answer.values, 1, answer.values.n)
  end

  function impl.MB(text, title, kind)
    if kind < 0 or kind > 5 then fake.refuse("MB: type " .. kind, 3) end
    return fake.modal("MB", title .. ": " .. text)
  end

  impl.ShowMessageBox = impl.MB

  function impl.GetUserInputs(title, count, captions, given)
    if count < 1 or count > 16 then fake.refuse("GetUserInputs: " .. count .. " fields", 3) end
    local separator = captions:match(",separator=(.)") or ","
    local fields = 1
    for _ in given:gmatch("[" .. separator:gsub("[%^%]%-%%]", "%%%0") .. "]") do fields = fields + 1 end
    if fields ~= count then fake.refuse("GetUserInputs: " .. fields .. " values for " .. count .. " fields", 3) end
    local text = fake.modal("GetUserInputs", title .. ": " .. captions .. ": " .. given)
    return text ~= nil, text or given
  end

  function impl.GetUserFileNameForRead(given, title, _)
    local path = fake.modal("GetUserFileNameForRead", title)
    return path ~= nil, path or given
  end

  -- A line in REAPER's status bar.
  function impl.Help_Set(text, _) fake.help[#fake.help + 1] = text end

  function impl.ShowConsoleMsg(text) fake.console[#fake.console + 1] = text end

  -- Values stored for all projects -----------------------------------------------------------------------------------

  local stored, kept = {}, {}
  local path = fake.home .. "/reaper-extstate.lua"
  local file = io.open(path, "rb")
  if file then
    kept = fake.model.value(file:read("a"))
    file:close()
    stored = fake.model.copy(kept)
  end

  local function put(list, section, key, value)
    list[section] = list[section] or {}
    list[section][key] = value
  end

  fake.ext = {}

  function fake.ext.get(section, key) return (stored[section:lower()] or {})[key:lower()] end

  function fake.ext.set(section, key, value, persist)
    put(stored, section:lower(), key:lower(), value)
    if not persist then return end
    put(kept, section:lower(), key:lower(), value)
    local out = assert(io.open(path, "wb"))
    out:write(fake.model.text(kept))
    out:close()
  end

  -- Commands ---------------------------------------------------------------------------------------------------------

  local commands, paths = {}, {}

  function fake.command_of(script)
    if not paths[script] then
      commands[#commands + 1] = script
      paths[script] = 53000 + #commands
    end
    return paths[script]
  end

  function impl.AddRemoveReaScript(add, section, script, _)
    if section ~= 0 then fake.refuse("AddRemoveReaScript: section " .. section, 3) end
    local there = io.open(script, "rb")
    if there then there:close() else return 0 end
    fake.registered[script] = add or nil
    return fake.command_of(script)
  end

  -- REAPER's own actions that a script may call: all they do is outside of what is modelled.
  local NATIVE = { [40047] = "Peaks: Build any missing peaks" }

  local function command(called, number)
    local script = commands[number - 53000]
    if NATIVE[number] then
      fake.native[#fake.native + 1] = NATIVE[number]
      return
    end
    if not script or not fake.registered[script] then fake.refuse(called .. ": no command " .. number, 4) end
    fake.run(script)
  end

  function impl.Main_OnCommand(number, _) command("Main_OnCommand", number) end

  function impl.Main_OnCommandEx(number, _, project)
    if project ~= fake.model.current and not NATIVE[number] then
      fake.refuse("Main_OnCommandEx: a script is run for the project in front", 3)
    end
    command("Main_OnCommandEx", number)
  end

  -- Programs, folders ------------------------------------------------------------------------------------------------

  function impl.ExecProcess(command, timeout)
    if timeout ~= -1 and timeout ~= -2 then fake.refuse("ExecProcess that waits stops REAPER", 3) end
    fake.executed[#fake.executed + 1] = command
    return "0\n"
  end

  local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

  function impl.RecursiveCreateDirectory(folder, ignored)
    if ignored ~= 0 then fake.refuse("RecursiveCreateDirectory: the second argument is 0", 3) end
    if folder:find("[/\\]$") then fake.refuse("RecursiveCreateDirectory: a separator at the end", 3) end
    if os.rename(folder, folder) then return 0 end
    fake.spend("open", 4)
    return os.execute("mkdir -p " .. quoted(folder) .. " 2>/dev/null") and 1 or 0
  end

  function impl.file_exists(name)
    fake.spend("open")
    local there = io.open(name, "rb")
    if not there then return false end
    local is_folder = there:read(0) == nil and select(3, there:read(1)) ~= nil
    there:close()
    return not is_folder
  end

  -- Program ----------------------------------------------------------------------------------------------------------

  function impl.APIExists(name) return fake.api.exists(name) end

  function impl.GetAppVersion() return fake.version_text .. (fake.os == "Win64" and "/x64" or "/linux-x86_64") end

  function impl.genGuid(_) return fake.model.guid() end

  local function byte(value)
    if value < 0 or value > 255 then fake.refuse("ColorToNative: " .. value, 4) end
    return value
  end

  -- Red is the low byte on Windows and the high one elsewhere.
  function impl.ColorToNative(red, green, blue)
    red, green, blue = byte(red), byte(green), byte(blue)
    if fake.os == "Win64" then return red | green << 8 | blue << 16 end
    return red << 16 | green << 8 | blue
  end

  function impl.PreventUIRefresh(change)
    fake.frozen = fake.frozen + change
    if fake.frozen < 0 then fake.refuse("PreventUIRefresh: more off than on", 3) end
  end

  function impl.UpdateArrange() end

  function impl.UpdateTimeline() fake.owed.UpdateTimeline = nil end

  function impl.UpdateItemInProject(_) end
end
