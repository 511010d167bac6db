-- Items and takes: places, lengths, fades, names, selection, which take plays.

return function(fake)
  local model, impl = fake.model, fake.api.impl
  local pointer, index_of = fake.api.pointer, fake.index_of

  -- A new item as REAPER makes it: with the fades and the looping of its default preferences.
  local function new_item(track, position, length)
    local item = {
      guid = model.guid(), position = position, length = length, fade_in = 0.01, fade_out = 0.01, auto_fade_in = -1.0,
      auto_fade_out = -1.0, loop = true, mute = false, selected = false, lock = 0, volume = 1.0, current = 0, lane = 0,
      timebase = -1, colour = 0, snap = 0.0, all_takes = false, ext = {}, takes = {},
    }
    table.insert(track.items, item)
    model.own(item, track)
    model.touch(model.owner(track), "items", "new item")
    return item
  end

  local function new_take(item)
    local take = {
      guid = model.guid(), name = "", offset = 0.0, rate = 1.0, pitch = 0.0, preserve = true, pitch_mode = -1, channels = 0,
      volume = 1.0, pan = 0.0, colour = 0, ext = {}, fx = {}, stretch = {}, envelopes = 0, source = nil,
    }
    item.takes[#item.takes + 1] = take
    model.own(take, item)
    model.touch(model.project_of(item), "items", "new take")
    return take
  end

  fake.new_item, fake.new_take = new_item, new_take

  local function sort(track)
    table.sort(track.items, function(a, b)
      if a.position ~= b.position then return a.position < b.position end
      return a.guid < b.guid
    end)
  end

  fake.sort_items = sort

  function impl.AddMediaItemToTrack(track) return pointer("MediaItem", new_item(track, 0.0, 0.0)) end

  function impl.AddTakeToMediaItem(item) return pointer("MediaItem_Take", new_take(item)) end

  -- Reaching them ----------------------------------------------------------------------------------------------------

  local function items_of(project)
    local found = {}
    for _, track in ipairs(project.state.tracks) do
      for _, item in ipairs(track.items) do found[#found + 1] = item end
    end
    return found
  end

  function impl.CountTrackMediaItems(track) return #track.items end

  function impl.GetTrackMediaItem(track, index) return pointer("MediaItem", track.items[index + 1]) end

  function impl.GetMediaItem_Track(item) return pointer("MediaTrack", model.owner(item)) end

  function impl.CountTakes(item) return #item.takes end

  function impl.GetTake(item, index) return pointer("MediaItem_Take", item.takes[index + 1]) end

  function impl.GetActiveTake(item) return pointer("MediaItem_Take", item.takes[item.current + 1]) end

  function impl.SetActiveTake(take)
    local item = model.owner(take)
    item.current = index_of(item.takes, take) - 1
    model.touch(model.project_of(item), "items", "active take")
  end

  function impl.GetTakeName(take) return take.name end

  function impl.TakeFX_GetCount(take) return #take.fx end

  function impl.GetTakeNumStretchMarkers(take) return #take.stretch end

  function impl.CountTakeEnvelopes(take) return take.envelopes end

  -- Selection --------------------------------------------------------------------------------------------------------

  local function selected_of(project)
    local found = {}
    for _, item in ipairs(items_of(project)) do
      if item.selected then found[#found + 1] = item end
    end
    return found
  end

  function impl.CountSelectedMediaItems(project) return #selected_of(project) end

  function impl.GetSelectedMediaItem(project, index) return pointer("MediaItem", selected_of(project)[index + 1]) end

  -- Values -----------------------------------------------------------------------------------------------------------

  local function at_least(low)
    return function(value) return value >= low and value or nil end
  end

  local function any(value) return value end

  local function flag(value)
    if value ~= 0 and value ~= 1 then return nil end
    return value == 1
  end

  local function integer(low, high)
    return function(value)
      local whole = math.tointeger(value)
      return whole and whole >= low and whole <= high and whole or nil
    end
  end

  local ITEM = {
    D_POSITION = { "position", at_least(0) }, D_LENGTH = { "length", at_least(0) },
    D_FADEINLEN = { "fade_in", at_least(0) }, D_FADEOUTLEN = { "fade_out", at_least(0) },
    D_FADEINLEN_AUTO = { "auto_fade_in", at_least(-1) }, D_FADEOUTLEN_AUTO = { "auto_fade_out", at_least(-1) },
    B_LOOPSRC = { "loop", flag }, B_MUTE = { "mute", flag }, B_UISEL = { "selected", flag }, C_LOCK = { "lock", integer(0, 1) },
    D_VOL = { "volume", at_least(0) }, I_CURTAKE = { "current", integer(0, 4096) },
    C_BEATATTACHMODE = { "timebase", integer(-1, 2) }, I_CUSTOMCOLOR = { "colour", integer(0, 0x1FFFFFF) },
    D_SNAPOFFSET = { "snap", at_least(0) }, B_ALLTAKESPLAY = { "all_takes", flag },
  }

  local TAKE = {
    D_STARTOFFS = { "offset", any }, D_PLAYRATE = { "rate", at_least(0.01) }, D_PITCH = { "pitch", any },
    B_PPITCH = { "preserve", flag }, I_PITCHMODE = { "pitch_mode", integer(-1, 0x7FFFFFFF) },
    I_CHANMODE = { "channels", integer(0, 255) }, D_VOL = { "volume", any }, D_PAN = { "pan", any },
    I_CUSTOMCOLOR = { "colour", integer(0, 0x1FFFFFF) },
  }

  local function as_number(value)
    if value == true then return 1.0 elseif value == false then return 0.0 end
    return value + 0.0
  end

  local function getter(called, known)
    return function(object, name)
      if not known[name] then fake.refuse(called .. " knows no " .. name, 3) end
      return as_number(object[known[name][1]])
    end
  end

  local function setter(called, known)
    return function(object, name, value)
      if not known[name] then fake.refuse(called .. " cannot set " .. name, 3) end
      local read = known[name][2](value)
      if read == nil then fake.refuse(called .. ": " .. name .. " = " .. value, 3) end
      if name == "I_CUSTOMCOLOR" and read ~= 0 and read & 0x1000000 == 0 then
        fake.refuse("I_CUSTOMCOLOR without 0x1000000 is not shown", 3)
      end
      if name == "I_CURTAKE" and read >= math.max(1, #object.takes) then fake.refuse("no take " .. read, 3) end
      object[known[name][1]] = read
      if name == "D_POSITION" then sort(model.owner(object)) end
      model.touch(model.project_of(object), "items", name)
      return true
    end
  end

  local get_item, set_item = getter("GetMediaItemInfo_Value", ITEM), setter("SetMediaItemInfo_Value", ITEM)

  function impl.GetMediaItemInfo_Value(item, name)
    if name == "I_FIXEDLANE" then
      if fake.version < 7 then fake.refuse("I_FIXEDLANE came with 7.0", 3) end
      return item.lane + 0.0
    elseif name == "IP_ITEMNUMBER" then
      return index_of(model.owner(item).items, item) - 1.0
    end
    return get_item(item, name)
  end

  function impl.SetMediaItemInfo_Value(item, name, value)
    if name ~= "I_FIXEDLANE" then return set_item(item, name, value) end
    local track, lane = model.owner(item), math.tointeger(value)
    if fake.version < 7 then fake.refuse("I_FIXEDLANE came with 7.0", 3) end
    if track.free_mode ~= 2 then fake.refuse("I_FIXEDLANE on a track without fixed lanes", 3) end
    if not lane or lane < 0 or lane > 1024 then fake.refuse("I_FIXEDLANE = " .. value, 3) end
    item.lane = lane
    track.lanes = math.max(track.lanes, lane + 1)
    model.touch(model.owner(track), "items", name)
    return true
  end

  impl.GetMediaItemTakeInfo_Value = getter("GetMediaItemTakeInfo_Value", TAKE)
  impl.SetMediaItemTakeInfo_Value = setter("SetMediaItemTakeInfo_Value", TAKE)

  local function strings(called, names)
    return function(object, name, text, set)
      local kept, key = object, names[name]
      if name:match("^P_EXT:.") then kept, key = object.ext, name:sub(7) end
      if not key or set and name == "GUID" then fake.refuse(called .. ": " .. name, 3) end
      if not set then return kept[key] ~= nil, kept[key] or "" end
      fake.check_name(text)
      kept[key] = text
      if kept == object.ext and text == "" then kept[key] = nil end
      model.touch(model.project_of(object), "items", name)
      return true, text
    end
  end

  impl.GetSetMediaItemTakeInfo_String = strings("GetSetMediaItemTakeInfo_String", { GUID = "guid", P_NAME = "name" })
end
