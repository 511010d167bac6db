-- Stems onto tracks: a folder for the band, in it a coloured track for each stem and one for its notes. Items begin on
-- the sample, without fades, loop or stretch. Further takes stand beside the former: in lanes of their own where REAPER
-- has fixed lanes, else as takes of the item. The user's own tracks and items are never touched.

return function(use)
  local map, own, smf, tags = use("map"), use("own"), use("smf"), use("tags")
  local place = {}

  local COLOURS = {
    drums = { 224, 93, 68 }, bass = { 245, 186, 66 }, keys = { 38, 166, 154 }, guitar = { 174, 213, 76 },
    pad = { 126, 87, 194 }, strings = { 204, 96, 208 }, brass = { 188, 140, 96 }, lead = { 236, 82, 140 },
    arp = { 66, 165, 245 }, vocals = { 228, 232, 240 },
  }
  local GREY = { 120, 128, 136 }
  local LANES = 2 -- I_FREEMODE of a track with fixed lanes, since REAPER 7
  local TIME = 0 -- C_BEATATTACHMODE: a later change of tempo neither moves nor stretches a stem
  local CLOSE = 1e-4 -- seconds; items that begin and end so near to each other are takes of the same thing
  local PPQ = 960 -- ticks of a quarter note in REAPER unless the user has set another number

  local BUILD_PEAKS = 40047 -- the action "Peaks: Build any missing peaks": items made by scripts have none

  local function major() return tonumber(reaper.GetAppVersion():match("^%d+")) or 0 end

  local function item_value(item, name) return reaper.GetMediaItemInfo_Value(item, name) end

  -- Whether tracks can be added to this project now: before REAPER 7.18 only to the one in front.
  function place.can_add(proj)
    return reaper.APIExists("InsertTrackInProject") or (reaper.EnumProjects(-1)) == proj
  end

  local function insert_track(proj, index)
    if reaper.APIExists("InsertTrackInProject") then
      reaper.InsertTrackInProject(proj, index, 0)
    else
      reaper.InsertTrackAtIndex(index, false)
    end
    return reaper.GetTrack(proj, index)
  end

  local function dress(track, name, colour, tag)
    reaper.GetSetMediaTrackInfo_String(track, "P_NAME", name, true)
    reaper.GetSetMediaTrackInfo_String(track, tags.KEY, tag, true)
    local native = reaper.ColorToNative(colour[1], colour[2], colour[3]) | 0x1000000
    reaper.SetMediaTrackInfo_Value(track, "I_CUSTOMCOLOR", native)
  end

  local function depth(track) return math.floor(reaper.GetMediaTrackInfo_Value(track, "I_FOLDERDEPTH")) end

  local function set_depth(track, value) reaper.SetMediaTrackInfo_Value(track, "I_FOLDERDEPTH", value) end

  -- Adds a track at `index` and notes it in `layout`, stembridge's tracks in order (`own.tracks`).
  local function add_to_layout(proj, layout, index, entry)
    entry.track, entry.index = insert_track(proj, index), index
    local at = #layout + 1
    for i = #layout, 1, -1 do
      if layout[i].index >= index then
        layout[i].index = layout[i].index + 1
        at = i
      end
    end
    table.insert(layout, at, entry)
    return entry
  end

  -- The last track of the band, folder included; a folder at the project's end is made where there is none.
  local function last_of_band(proj, layout, band)
    local last, bands = nil, 0
    for _, one in ipairs(layout) do
      if one.band == band then last = one end
      if one.what == "band" then bands = bands + 1 end
    end
    if last then return last end
    local folder = add_to_layout(proj, layout, reaper.CountTracks(proj), { what = "band", band = band })
    dress(folder.track, bands == 0 and "stembridge" or "stembridge " .. bands + 1, GREY, tags.band(band))
    return folder
  end

  -- A new track behind the band's last one; it takes over from that one where it closes the folder.
  local function add_track(proj, layout, band, kind, event)
    local before = last_of_band(proj, layout, band)
    local made = { what = "track", band = band, kind = kind, stem = event.stem }
    local track = add_to_layout(proj, layout, before.index + 1, made).track
    if before.what == "band" and depth(before.track) == 0 then
      set_depth(before.track, 1)
      set_depth(track, -1)
    elseif depth(before.track) < 0 then
      set_depth(track, depth(before.track))
      set_depth(before.track, 0)
    end
    local name = kind == "midi" and event.stem .. " MIDI" or event.stem
    dress(track, name, COLOURS[event.role] or GREY, tags.track(band, kind, event.stem))
    return track
  end

  -- On a track: the item that covers the span, if any; whether anything else overlaps it; whether all items cover it.
  local function look(track, start, stop)
    local same, overlaps, all_same = nil, false, true
    for i = 0, reaper.CountTrackMediaItems(track) - 1 do
      local item = reaper.GetTrackMediaItem(track, i)
      local from = item_value(item, "D_POSITION")
      local to = from + item_value(item, "D_LENGTH")
      if math.abs(from - start) < CLOSE and math.abs(to - stop) < CLOSE then
        same = same or item
      else
        all_same = false
        overlaps = overlaps or (from < stop - CLOSE and to > start + CLOSE)
      end
    end
    return same, overlaps, all_same
  end

  -- The track where a stem's span goes: one with the same span (further takes), else one where the span is free.
  local function find_spot(proj, layout, band, kind, event, start, stop)
    local free
    for _, one in ipairs(layout) do
      if one.band == band and one.kind == kind and one.stem == event.stem then
        local same, overlaps, all_same = look(one.track, start, stop)
        if same then return one.track, same, all_same and not overlaps end
        if not overlaps then free = free or one.track end
      end
    end
    return free or add_track(proj, layout, band, kind, event), nil, false
  end

  local function lane_count(track)
    local lanes = 1
    for i = 0, reaper.CountTrackMediaItems(track) - 1 do
      lanes = math.max(lanes, math.floor(item_value(reaper.GetTrackMediaItem(track, i), "I_FIXEDLANE")) + 1)
    end
    return lanes
  end

  local function playing_lane(track, lanes)
    for lane = 0, lanes - 1 do
      if reaper.GetMediaTrackInfo_Value(track, "C_LANEPLAYS:" .. lane) > 0.5 then return lane end
    end
    return 0
  end

  local function in_lanes(track)
    return major() >= 7 and math.floor(reaper.GetMediaTrackInfo_Value(track, "I_FREEMODE")) == LANES
  end

  -- Gives a track one lane more, where a new item shall stand; lanes are switched on where they were not, with what is
  -- there in the first. Returns the new lane and the one that plays.
  local function add_lane(track)
    if not in_lanes(track) then
      reaper.SetMediaTrackInfo_Value(track, "I_FREEMODE", LANES)
      reaper.UpdateTimeline()
      for i = 0, reaper.CountTrackMediaItems(track) - 1 do
        reaper.SetMediaItemInfo_Value(reaper.GetTrackMediaItem(track, i), "I_FIXEDLANE", 0)
      end
    end
    local lanes = lane_count(track)
    local plays = playing_lane(track, lanes)
    reaper.SetMediaTrackInfo_Value(track, "I_NUMFIXEDLANES", lanes + 1)
    return lanes, plays
  end

  -- Puts an item into `lane`; `plays`, where given, is the lane that plays then, alone.
  local function to_lane(track, item, lane, plays)
    reaper.SetMediaItemInfo_Value(item, "I_FIXEDLANE", lane)
    reaper.UpdateTimeline()
    if not plays then return end
    reaper.SetMediaTrackInfo_Value(track, "C_LANEPLAYS:" .. plays, 1)
    reaper.UpdateTimeline()
  end

  local function plain(item)
    for _, name in ipairs({ "D_FADEINLEN", "D_FADEOUTLEN" }) do reaper.SetMediaItemInfo_Value(item, name, 0) end
    for _, name in ipairs({ "D_FADEINLEN_AUTO", "D_FADEOUTLEN_AUTO" }) do
      reaper.SetMediaItemInfo_Value(item, name, -1)
    end
    reaper.SetMediaItemInfo_Value(item, "B_LOOPSRC", 0)
  end

  local function name_take(take, event, tag)
    local name = event.take > 1 and event.stem .. " take " .. event.take or event.stem
    reaper.GetSetMediaItemTakeInfo_String(take, "P_NAME", name, true)
    reaper.GetSetMediaItemTakeInfo_String(take, tags.KEY, tag, true)
  end

  -- A new item by `make(track)`, or a further take of the item there; `fill(take)` gives it its source and name.
  local function add_item(proj, layout, task, kind, start, stop, make, fill)
    local activate = task.activate
    local track, same, lanes_fit = find_spot(proj, layout, task.band, kind, task.event, start, stop)
    local freemode = math.floor(reaper.GetMediaTrackInfo_Value(track, "I_FREEMODE"))
    local use_lane = same and lanes_fit and major() >= 7 and (freemode == 0 or freemode == LANES)
    if same and not use_lane then
      local before = reaper.GetActiveTake(same)
      local take = reaper.AddTakeToMediaItem(same)
      fill(take)
      reaper.SetActiveTake(activate and take or before or take)
      reaper.UpdateItemInProject(same)
      return same
    end
    local lane, plays
    if use_lane then
      lane, plays = add_lane(track)
    elseif in_lanes(track) then
      lane = playing_lane(track, lane_count(track))
    end
    local item = make(track)
    if lane then to_lane(track, item, lane, plays and (activate and lane or plays)) end
    plain(item)
    fill(reaper.GetActiveTake(item))
    reaper.UpdateItemInProject(item)
    return item
  end

  -- The stem's file as a source, or nil and what is wrong with it.
  local function open_source(event)
    local source = reaper.PCM_Source_CreateFromFile(event.wav)
    if not source then return nil, "REAPER cannot read " .. event.wav end
    local frames = math.floor(reaper.GetMediaSourceLength(source) * event.sample_rate + 0.5)
    if frames == event.samples then return source end
    reaper.PCM_Source_Destroy(source)
    return nil, string.format("%s has %d samples instead of %d", event.wav, frames, event.samples)
  end

  local function place_audio(proj, layout, task, source)
    local event = task.event
    local start, length = event.start_sample / event.sample_rate, event.samples / event.sample_rate
    local item = add_item(proj, layout, task, "audio", start, start + length, function(track)
      local new = reaper.AddMediaItemToTrack(track)
      reaper.SetMediaItemInfo_Value(new, "D_POSITION", start)
      reaper.SetMediaItemInfo_Value(new, "D_LENGTH", length)
      reaper.SetMediaItemInfo_Value(new, "C_BEATATTACHMODE", TIME)
      reaper.AddTakeToMediaItem(new)
      return new
    end, function(take)
      reaper.SetMediaItemTake_Source(take, source)
      name_take(take, event, task.names.audio)
    end)
    local at = math.floor(item_value(item, "D_POSITION") * event.sample_rate + 0.5)
    if at == event.start_sample then return nil end
    return string.format("%s landed on sample %d instead of %d", event.stem, at, event.start_sample)
  end

  -- Bytes for MIDI_SetAllEvts of notes {tick, length, ...} at `ticks` a quarter note, in a take with `ppq`, that ends
  -- at `last` of its ticks. Notes that ring on are cut there.
  function place.notes2events(notes, ticks, ppq, last, pause)
    local events = {}
    for i, note in ipairs(notes) do
      local from = math.floor(note.tick * ppq / ticks + 0.5)
      local to = math.min(math.max(from + 1, math.floor((note.tick + note.length) * ppq / ticks + 0.5)), last)
      if from < last then
        events[#events + 1] = { from, 1, i, string.char(0x90 | note.channel, note.pitch, note.velocity) }
        events[#events + 1] = { to, 0, i, string.char(0x80 | note.channel, note.pitch, 0) }
      end
      pause()
    end
    events = smf.sorted(events, function(a, b)
      if a[1] ~= b[1] then return a[1] < b[1] end
      return a[2] < b[2]
    end, pause)
    local out, at = {}, 0
    for i, event in ipairs(events) do
      out[i] = string.pack("<i4Bs4", event[1] - at, 0, event[4])
      at = event[1]
      pause()
    end
    out[#out + 1] = string.pack("<i4Bs4", last - at, 0, "\xB0\x7B\0") -- all notes off: where the source ends
    return table.concat(out)
  end

  -- Reads a stem's MIDI file for `place.stems`; the DAW's `PPQ` is assumed, and checked when it lands.
  function place.prepare(proj, event, read, pause)
    local text = read(event.midi)
    if not text then return nil, "there is no file " .. event.midi end
    local ok, notes, ticks = pcall(smf.bytes2notes, text, pause)
    if not ok then return nil, notes end
    local stop = (event.start_sample + event.samples) / event.sample_rate
    local beats = map.second2beat(proj, stop) - event.start_beat
    local made = { notes = notes, ticks = ticks, beats = beats }
    made.events = #notes > 0 and place.notes2events(notes, ticks, PPQ, math.floor(beats * PPQ + 0.5), pause)
    return made
  end

  local function fill_midi(proj, take, start, event, midi)
    local first = reaper.MIDI_GetPPQPosFromProjTime(take, start)
    local second = map.beat2second(proj, event.start_beat + 1)
    local ppq = math.floor(reaper.MIDI_GetPPQPosFromProjTime(take, second) - first + 0.5)
    local bytes = midi.events
    if ppq ~= PPQ then
      bytes = place.notes2events(midi.notes, midi.ticks, ppq, math.floor(midi.beats * ppq + 0.5), function() end)
    end
    reaper.MIDI_SetAllEvts(take, bytes)
    reaper.MIDI_Sort(take)
  end

  local function place_midi(proj, layout, task)
    local event, midi = task.event, task.midi
    if not midi.events then return end -- a stem that keeps silent has no notes, and none are missed
    local start = map.beat2second(proj, event.start_beat)
    local stop = (event.start_sample + event.samples) / event.sample_rate
    add_item(proj, layout, task, "midi", start, stop, function(track)
      return reaper.CreateNewMIDIItemInProj(track, start, stop, false)
    end, function(take)
      if not reaper.TakeIsMIDI(take) then
        reaper.SetMediaItemTake_Source(take, reaper.PCM_Source_CreateFromType("MIDI"))
      end
      fill_midi(proj, take, start, event, midi)
      name_take(take, event, task.names.midi)
    end)
  end

  -- Files as sources, in step with `tasks` (false for what cannot be placed), how many there are, and what is wrong.
  local function open_sources(tasks)
    local sources, count, problem = {}, 0, nil
    for i, task in ipairs(tasks) do
      local source, wrong = open_source(task.event)
      sources[i] = source or false
      if source then count = count + 1 else problem = task.event.stem .. ": " .. wrong end
    end
    return sources, count, problem
  end

  -- Places stems {event, band, activate, names = {audio, midi}, midi} in one undo step; none is made where nothing can
  -- be placed. Returns nil, or what is wrong.
  function place.stems(proj, tasks, title)
    local sources, count, problem = open_sources(tasks)
    if count == 0 then return problem end
    reaper.Undo_BeginBlock2(proj)
    reaper.PreventUIRefresh(1)
    local ok, why = pcall(function()
      local layout = own.tracks(proj)
      for i, task in ipairs(tasks) do
        if sources[i] then
          problem = place_audio(proj, layout, task, sources[i]) or problem
          if task.midi then place_midi(proj, layout, task) end
        end
      end
    end)
    reaper.PreventUIRefresh(-1)
    reaper.Undo_EndBlock2(proj, title, -1)
    reaper.Main_OnCommandEx(BUILD_PEAKS, 0, proj)
    reaper.UpdateArrange()
    return not ok and tostring(why) or problem
  end

  local function all_there(proj, tasks)
    local names = own.landed(proj)
    for _, task in ipairs(tasks) do
      if not names[task.names.audio] then return false end
    end
    return true
  end

  -- Makes one undo step of the last `#tasks`; true when it did. Where the user did anything since the first of them
  -- (the last step is another one, or a stem is gone) all stays as it is, or as much of it.
  function place.unite(proj, tasks, title)
    if reaper.Undo_CanUndo2(proj) ~= title or not all_there(proj, tasks) then return false end
    local undone = 0
    while undone < #tasks and reaper.Undo_CanUndo2(proj) == title do
      if reaper.Undo_DoUndo2(proj) == 0 then break end
      undone = undone + 1
    end
    local again = {}
    for i = #tasks - undone + 1, #tasks do again[#again + 1] = tasks[i] end
    place.stems(proj, again, title)
    return true
  end

  return place
end
