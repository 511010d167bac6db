-- The user's hand: what a musician does in REAPER, from opening a project to deleting a track while stems arrive.
--
-- Each step here is a step of the undo history, as it would be there.

return function(fake)
  local model, user = fake.model, {}

  local function step(project, description, change)
    fake.by_user = true
    local found = change()
    fake.by_user = false
    model.settle(project, description)
    return found
  end

  -- Opens a project in a new tab, or in place of the untouched, untitled one.
  function user.open(file)
    local first = model.projects[1]
    local project = model.new_project(file)
    if first and first.file == "" and first.changes == 0 and #model.projects == 2 then model.close(first) end
    model.current = project
    return project
  end

  function user.switch(project) model.current = project end

  function user.close(project) model.close(project) end

  function user.track(project, name, options)
    return step(project, "Insert new track", function()
      local track = fake.new_track(project, #project.state.tracks)
      track.name = name
      for key, value in pairs(options or {}) do track[key] = value end
      return track
    end)
  end

  function user.audio(track, file, position, length, options)
    return step(model.owner(track), "Insert media", function()
      local item = fake.new_item(track, position + 0.0, (length or 0) + 0.0)
      local take = fake.new_take(item)
      take.source = assert(fake.file_source(file), file)
      take.name = file:match("[^/\\]*$")
      model.own_source(take.source, take)
      if not length then item.length = take.source.length end
      for key, value in pairs(options or {}) do
        if take[key] ~= nil then take[key] = value else item[key] = value end
      end
      fake.sort_items(track)
      return item
    end)
  end

  -- `notes`: { start, stop, pitch, velocity, channel } in ticks. `texts`: { tick, type, text } of meta events. The source
  -- is as long as the item unless `options.ticks` says otherwise.
  function user.midi(track, position, length, notes, texts, options)
    return step(model.owner(track), "Insert MIDI item", function()
      local item = fake.new_item(track, position + 0.0, length + 0.0)
      local take = fake.new_midi(item)
      local events = {}
      for _, note in ipairs(notes) do
        events[#events + 1] = { note[1], 0, string.char(0x90 | (note[5] or 0), note[3], note[4]) }
        events[#events + 1] = { note[2], 0, string.char(0x80 | (note[5] or 0), note[3], 0) }
      end
      for _, text in ipairs(texts or {}) do
        events[#events + 1] = { text[1], 0, "\xFF" .. string.char(text[2]) .. text[3] }
      end
      local last = 0
      for _, event in ipairs(events) do last = math.max(last, event[1]) end
      table.sort(events, function(a, b)
        if a[1] ~= b[1] then return a[1] < b[1] end
        return a[3]:byte() < b[3]:byte()
      end)
      local project = model.owner(track)
      local beats = fake.tempo.time2qn(project, position + length) - fake.tempo.time2qn(project, position)
      last = options and options.ticks or math.max(last, math.floor(beats * 960 + 0.5))
      events[#events + 1] = { last, 0, "\xB0\x7B\x00" }
      take.source.events, take.source.length = events, last / 960
      for key, value in pairs(options or {}) do
        if key == "scale" then take.source.scale = value
        elseif take[key] ~= nil then take[key] = value
        elseif item[key] ~= nil then item[key] = value end
      end
      fake.sort_items(track)
      return item
    end)
  end

  function user.region(project, name, start, stop, colour)
    return step(project, "Insert region", function()
      return (fake.add_mark(project, true, start + 0.0, stop + 0.0, name, -1, colour or 0))
    end)
  end

  function user.marker(project, name, position)
    return step(project, "Insert marker", function()
      return (fake.add_mark(project, false, position + 0.0, position + 0.0, name, -1, 0))
    end)
  end

  -- The tempo map as a whole: points { time, bpm, num, den, linear }; num 0 keeps the time signature. The first is the
  -- project's own tempo when it stands at time 0 and `settings` is true.
  function user.tempo(project, points, settings)
    return step(project, "Edit tempo map", function()
      local map = {}
      for i, point in ipairs(points) do
        map[i] = {
          time = point[1] + 0.0, bpm = point[2] + 0.0, num = point[3] or 0, den = point[4] or 0, linear = point[5] == true,
          base = settings == true and i == 1 or nil,
        }
      end
      assert(map[1].time == 0 and map[1].num > 0, "the first point stands at 0 and has a time signature")
      project.state.tempo = map
    end)
  end

  function user.select_time(project, start, stop)
    return step(project, "Change time selection", function() project.state.time_selection = { start + 0.0, stop + 0.0 } end)
  end

  -- Selecting is a step, too, as by REAPER's default preferences.
  function user.select(object, selected)
    return step(model.project_of(object), "Change selection", function() object.selected = selected ~= false end)
  end

  function user.delete_track(project, name)
    return step(project, "Remove tracks", function()
      for i, track in ipairs(project.state.tracks) do
        if track.name == name then
          table.remove(project.state.tracks, i)
          model.forget_track(track)
          return true
        end
      end
      error("no track " .. name)
    end)
  end

  function user.delete_item(item)
    local track = model.owner(item)
    return step(model.owner(track), "Remove items", function()
      table.remove(track.items, fake.index_of(track.items, item))
      model.forget_item(item)
    end)
  end

  function user.rename_track(project, old, new)
    return step(project, "Rename track", function()
      for _, track in ipairs(project.state.tracks) do
        if track.name == old then track.name = new end
      end
    end)
  end

  -- Ctrl+Z: false when there is nothing to undo. Gives what is undone.
  function user.undo(project)
    if project.at <= 1 then return false end
    local description = project.history[project.at].description
    model.travel(project, project.at - 1)
    return description
  end

  -- Saving and loading: what a restart of REAPER keeps. The history is not kept.
  function user.save(project)
    local out = assert(io.open(project.file, "wb"))
    out:write(fake.dump(project))
    out:close()
    out = assert(io.open(project.file .. ".state", "wb"))
    out:write(model.text(project.state))
    out:close()
    project.dirty = 0
  end

  function user.load(file)
    local project = user.open(file)
    local saved = assert(io.open(file .. ".state", "rb"))
    model.replace(project, model.value(saved:read("a")))
    saved:close()
    project.history, project.at = {}, 1
    model.settle(project, "")
    return project
  end

  -- For tests -------------------------------------------------------------------------------------------------------

  function user.find_track(project, name)
    for _, track in ipairs(project.state.tracks) do
      if track.name == name then return track end
    end
  end

  -- The user's part of the project as text: all but what stembridge has marked as its own (`P_EXT:stembridge...`).
  function user.own_part(project)
    local state = model.copy(project.state)
    state.ext.STEMBRIDGE = nil
    for i = #state.tracks, 1, -1 do
      for key in pairs(state.tracks[i].ext) do
        if key:lower():find("^stembridge") then
          table.remove(state.tracks, i)
          break
        end
      end
    end
    return model.text(state)
  end

  return user
end
