-- What an action does: it leaves a wish for the service in the background, and starts that where it does not run.

return function(use)
  local json, projects = use("json"), use("projects")
  local door = {}

  local SECTION = projects.SECTION
  local ALIVE_WITHIN = 2 -- seconds

  function door.folder() return ({ reaper.get_action_context() })[2]:match("^(.*[/\\])") end

  function door.is_served()
    local alive = tonumber(reaper.GetExtState(SECTION, "alive"))
    return alive ~= nil and reaper.time_precise() - alive < ALIVE_WITHIN
  end

  -- Starts the background script as an action of its own: it stays when this action ends.
  function door.start()
    if door.is_served() then return end
    local path = door.folder() .. "stembridge_background.lua"
    local command = reaper.AddRemoveReaScript(true, 0, path, true)
    if command == 0 then error("REAPER could not load " .. path .. ". Run: stembridge install reaper", 0) end
    reaper.Main_OnCommand(command, 0)
  end

  -- Leaves a wish for the project in front.
  function door.ask(verb, wish)
    wish = wish or {}
    local proj, path = projects.active()
    wish.verb, wish.project, wish.path = verb, projects.id(proj, path), path
    local number = (tonumber(reaper.GetExtState(SECTION, "wishes")) or 0) + 1
    reaper.SetExtState(SECTION, "wish:" .. number, json.encode(wish), false)
    reaper.SetExtState(SECTION, "wishes", tostring(number), false)
    door.start()
  end

  -- An action that leaves `verb` as its wish. No undo point is made of it: it has changed nothing.
  function door.action(verb, wish)
    local ok, trouble = pcall(door.ask, verb, wish)
    if not ok then reaper.ShowMessageBox(tostring(trouble), "stembridge", 0) end
    reaper.defer(function() end)
  end

  return door
end
