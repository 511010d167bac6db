-- Tabs, stored values of scripts, undo, the transport and the project's settings.

return function(fake)
  local model, impl = fake.model, fake.api.impl
  local pointer, object = fake.api.pointer, fake.api.object

  -- Tabs -------------------------------------------------------------------------------------------------------------

  function impl.EnumProjects(index)
    local project
    if index == -1 then project = model.current
    elseif index >= 0 then project = model.projects[index + 1]
    else fake.refuse("EnumProjects(" .. index .. ") is not modelled", 3) end
    if not project then return nil, "" end
    return pointer("ReaProject", project), project.file
  end

  function impl.GetProjectStateChangeCount(project) return project.changes end

  function impl.GetProjectLength(project)
    local length = 0.0
    for _, track in ipairs(project.state.tracks) do
      for _, item in ipairs(track.items) do length = math.max(length, item.position + item.length) end
    end
    for _, mark in ipairs(project.state.marks) do length = math.max(length, mark.stop) end
    return length
  end

  function impl.GetSetProjectInfo(project, name, _, set)
    local values = {
      PROJECT_SRATE = project.state.sample_rate, PROJECT_SRATE_USE = project.state.sample_rate_use,
      PROJOFFS = project.state.offset, PROJMEASOFFS = project.state.measure_offset + 0.0,
    }
    if set then fake.refuse("GetSetProjectInfo changes the user's " .. name, 3) end
    return values[name] or fake.refuse("GetSetProjectInfo knows no " .. name, 3)
  end

  function impl.GetAudioDeviceInfo(name)
    local values = { SRATE = tostring(math.tointeger(fake.device_rate) or fake.device_rate), BSIZE = "512", MODE = "JACK" }
    if fake.device_rate == 0 then return false, "" end
    if not values[name] then return false, "" end
    return true, values[name]
  end

  function impl.GetPlayStateEx(project) return project.play_state end

  function impl.GetSet_LoopTimeRange2(project, set, loop, start, stop, _)
    local field = loop and "loop" or "time_selection"
    if set then
      if start < 0 or stop < start then fake.refuse("GetSet_LoopTimeRange2: from " .. start .. " to " .. stop, 3) end
      project.state[field] = { start, stop }
      model.touch(project, "misc", field)
    end
    return project.state[field][1], project.state[field][2]
  end

  -- Stored values ----------------------------------------------------------------------------------------------------

  local function plain(kind, ...)
    for i = 1, select("#", ...) do
      if select(i, ...):find("[\r\n]") then fake.refuse(kind .. ": a line break would damage the file", 4) end
    end
  end

  -- Names are stored in upper case, as in project files.
  function impl.SetProjExtState(project, section, key, value)
    if section == "" then fake.refuse("SetProjExtState: no section", 3) end
    plain("SetProjExtState", section, key, value)
    local kept = project.state.ext
    local name = section:upper()
    if key == "" then
      kept[name] = nil
      model.touch(project, "ext", section)
      return 0
    end
    kept[name] = kept[name] or {}
    kept[name][key:upper()] = value ~= "" and value or nil
    if not next(kept[name]) then kept[name] = nil end
    model.touch(project, "ext", section)
    return #value
  end

  function impl.GetProjExtState(project, section, key)
    local value = (project.state.ext[section:upper()] or {})[key:upper()]
    return value and 1 or 0, value or ""
  end

  function impl.SetExtState(section, key, value, persist)
    if section == "" or key == "" then fake.refuse("SetExtState: no section or key", 3) end
    if persist then plain("SetExtState", section, key, value) end
    fake.ext.set(section, key, value, persist)
  end

  function impl.GetExtState(section, key) return fake.ext.get(section, key) or "" end

  function impl.HasExtState(section, key) return fake.ext.get(section, key) ~= nil end

  function impl.DeleteExtState(section, key, persist) fake.ext.set(section, key, nil, persist) end

  -- Undo -------------------------------------------------------------------------------------------------------------

  local COVERS = { tracks = 1, items = 4, misc = 8 }

  function impl.Undo_BeginBlock2(project) table.insert(project.blocks, fake.tick_number) end

  function impl.Undo_EndBlock2(project, description, flags)
    if #project.blocks == 0 then fake.refuse("Undo_EndBlock2 without Undo_BeginBlock2", 3) end
    if description == "" then fake.refuse("Undo_EndBlock2 without a description", 3) end
    table.remove(project.blocks)
    if #project.blocks > 0 then return end
    for kind in pairs(project.touched) do
      if flags ~= -1 and flags & COVERS[kind] == 0 then
        fake.refuse("Undo_EndBlock2: flags " .. flags .. " leave out the change of " .. kind, 3)
      end
    end
    if not next(project.touched) then fake.note("an undo point without a change: " .. description) end
    model.settle(project, description)
  end

  function impl.Undo_CanUndo2(project)
    if project.at <= 1 then return nil end
    return project.history[project.at].description
  end

  function impl.Undo_DoUndo2(project)
    if #project.blocks > 0 then fake.refuse("Undo_DoUndo2 inside an undo block", 3) end
    if project.at <= 1 then return 0 end
    model.travel(project, project.at - 1)
    return 1
  end

  -- Pointers ---------------------------------------------------------------------------------------------------------

  local KINDS = {
    ["ReaProject*"] = "ReaProject", ["MediaTrack*"] = "MediaTrack", ["MediaItem*"] = "MediaItem",
    ["MediaItem_Take*"] = "MediaItem_Take", ["PCM_source*"] = "PCM_source",
  }

  local function valid(value, kind)
    if not KINDS[kind] then fake.refuse("ValidatePtr knows no " .. kind .. " (as in \"MediaTrack*\")", 4) end
    return object(value, KINDS[kind])
  end

  function impl.ValidatePtr2(project, value, kind)
    local found = valid(value, kind)
    if not found then return false end
    return kind == "ReaProject*" or kind == "PCM_source*" or model.project_of(found) == project
  end

end
