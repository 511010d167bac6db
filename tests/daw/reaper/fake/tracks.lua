-- Tracks: folders, colours, names, stored values, selection, fixed lanes (7.0).

return function(fake)
  local model, impl = fake.model, fake.api.impl
  local pointer = fake.api.pointer

  function fake.index_of(list, value)
    for i, other in ipairs(list) do
      if other == value then return i end
    end
  end

  -- Names: REAPER keeps them on one line of its project file.
  function fake.check_name(name)
    if name:find("[%c]") then fake.refuse("a control character in the name " .. string.format("%q", name), 4) end
  end

  local function new_track(project, index)
    local tracks = project.state.tracks
    if index < 0 or index > #tracks then fake.refuse("a new track at " .. index .. " of " .. #tracks, 4) end
    local track = {
      guid = model.guid(), name = "", colour = 0, depth = 0, selected = false, mute = false, solo = 0, volume = 1.0,
      pan = 0.0, free_mode = 0, lanes = 1, lane_names = {}, lanes_playing = { [0] = 1 }, ext = {}, items = {}, fx = 0,
    }
    table.insert(tracks, index + 1, track)
    model.own(track, project)
    model.touch(project, "tracks", "new track")
    return track
  end

  fake.new_track = new_track

  function impl.InsertTrackAtIndex(index, _) new_track(model.current, math.min(index, #model.current.state.tracks)) end

  function impl.InsertTrackInProject(project, index, flags)
    if flags & ~1 ~= 0 then fake.refuse("InsertTrackInProject: flags " .. flags, 3) end
    new_track(project, index)
  end

  function impl.CountTracks(project) return #project.state.tracks end

  function impl.GetTrack(project, index) return pointer("MediaTrack", project.state.tracks[index + 1]) end

  function impl.GetTrackGUID(track) return track.guid end

  function impl.GetTrackName(track)
    if track.name ~= "" then return true, track.name end
    return true, "Track " .. fake.index_of(model.owner(track).state.tracks, track)
  end

  -- Folder depth of each track, 0 for one that is in none.
  local function depths(project)
    local depth, found = 0, {}
    for i, track in ipairs(project.state.tracks) do
      found[i] = depth
      depth = math.max(0, depth + track.depth)
    end
    return found
  end

  fake.depths = depths

  -- Selection --------------------------------------------------------------------------------------------------------

  function impl.SetTrackSelected(track, selected)
    track.selected = selected
    model.touch(model.owner(track), "tracks", "track selected")
  end

  local function selected_of(project)
    local found = {}
    for _, track in ipairs(project.state.tracks) do
      if track.selected then found[#found + 1] = track end
    end
    return found
  end

  function impl.CountSelectedTracks(project) return #selected_of(project) end

  function impl.GetSelectedTrack(project, index) return pointer("MediaTrack", selected_of(project)[index + 1]) end

  -- Values -----------------------------------------------------------------------------------------------------------

  local function integer(low, high)
    return function(value)
      local whole = math.tointeger(value)
      if not whole or whole < low or whole > high then return nil end
      return whole
    end
  end

  local function real(low, high)
    return function(value) return value >= low and value <= high and value or nil end
  end

  local function flag(value)
    if value ~= 0 and value ~= 1 then return nil end
    return value == 1
  end

  -- Field, how a new value is read (nil where it is wrong), first version.
  local VALUES = {
    I_FOLDERDEPTH = { "depth", integer(-64, 1) },
    I_CUSTOMCOLOR = { "colour", integer(0, 0x1FFFFFF) },
    I_SELECTED = { "selected", flag },
    B_MUTE = { "mute", flag },
    I_SOLO = { "solo", integer(0, 6) },
    D_VOL = { "volume", real(0, 1000) },
    D_PAN = { "pan", real(-1, 1) },
    I_FREEMODE = { "free_mode", integer(0, 2) },
    I_NUMFIXEDLANES = { "lanes", integer(1, 1024), 7.0 },
  }

  local function as_number(value)
    if value == true then return 1.0 elseif value == false then return 0.0 end
    return value + 0.0
  end

  local function lane_key(name)
    local lane = name:match("^C_LANEPLAYS:(%d+)$")
    if not lane then return nil end
    if fake.version < 7 then fake.refuse("C_LANEPLAYS came with 7.0", 4) end
    return math.tointeger(lane)
  end

  function impl.GetMediaTrackInfo_Value(track, name)
    if name == "IP_TRACKNUMBER" then return fake.index_of(model.owner(track).state.tracks, track) + 0.0 end
    local lane = lane_key(name)
    if lane then return (track.lanes_playing[lane] or 0) + 0.0 end
    local known = VALUES[name]
    if not known or (known[3] or 0) > fake.version then fake.refuse("GetMediaTrackInfo_Value knows no " .. name, 3) end
    return as_number(track[known[1]])
  end

  function impl.SetMediaTrackInfo_Value(track, name, value)
    local project = model.owner(track)
    local lane = lane_key(name)
    if lane then
      if track.free_mode ~= 2 or lane >= track.lanes then fake.refuse(name .. ": the track has no such lane", 3) end
      if value ~= 0 and value ~= 1 and value ~= 2 then fake.refuse(name .. " = " .. value, 3) end
      if value == 1 then track.lanes_playing = {} end
      track.lanes_playing[lane] = value ~= 0 and math.tointeger(value) or nil
      model.touch(project, "tracks", name)
      return true
    end
    local known = VALUES[name]
    if not known or (known[3] or 0) > fake.version then fake.refuse("SetMediaTrackInfo_Value cannot set " .. name, 3) end
    local read = known[2](value)
    if read == nil then fake.refuse("SetMediaTrackInfo_Value: " .. name .. " = " .. value, 3) end
    if name == "I_FREEMODE" then
      if read == 2 and fake.version < 7 then fake.refuse("fixed lanes (I_FREEMODE 2) came with 7.0", 3) end
      fake.owed.UpdateTimeline = "SetMediaTrackInfo_Value I_FREEMODE"
    end
    if name == "I_NUMFIXEDLANES" and track.free_mode ~= 2 then fake.refuse(name .. " without fixed lanes", 3) end
    if name == "I_CUSTOMCOLOR" and read ~= 0 and read & 0x1000000 == 0 then
      fake.refuse("I_CUSTOMCOLOR without 0x1000000 is not shown", 3)
    end
    track[known[1]] = read
    model.touch(project, "tracks", name)
    return true
  end

  function impl.GetSetMediaTrackInfo_String(track, name, text, set)
    local kept, key = track, nil
    local lane = name:match("^P_LANENAME:(%d+)$")
    if name == "P_NAME" then key = "name"
    elseif name == "GUID" and not set then key = "guid"
    elseif name:match("^P_EXT:.") then kept, key = track.ext, name:sub(7)
    elseif lane then
      if fake.version < 7 then fake.refuse("P_LANENAME came with 7.0", 3) end
      if track.free_mode ~= 2 or math.tointeger(lane) >= track.lanes then return false, "" end
      kept, key = track.lane_names, math.tointeger(lane)
    else
      fake.refuse("GetSetMediaTrackInfo_String: " .. name, 3)
    end
    if not set then return kept[key] ~= nil, kept[key] or "" end
    fake.check_name(text)
    kept[key] = text
    if kept == track.ext and text == "" then kept[key] = nil end
    model.touch(model.owner(track), "tracks", name)
    return true, text
  end
end
