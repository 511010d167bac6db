-- What lies on the user's tracks, as files for the engine: notes as MIDI files, sound as the file it comes from, or,
-- where the item changes its file's sound, rendered into a WAV. Nothing in the project is changed.

return function(use)
  local keys, map, request = use("keys"), use("map"), use("request")
  local smf, tags, wav = use("smf"), use("tags"), use("wav")
  local items = {}

  local BLOCK = 256 -- frames read from an accessor at a time
  local REFERENCE_SECONDS = 90 -- more of a clip than this says nothing new about its sound
  local AUDIO = { wav = true, wave = true, bwf = true, aif = true, aiff = true, flac = true, ogg = true, mp3 = true,
    opus = true }
  local NEAR = 1e-6 -- seconds

  local function track_name(track)
    local _, name = reaper.GetSetMediaTrackInfo_String(track, "P_NAME", "", false)
    if name ~= "" then return name end
    return "Track " .. math.floor(reaper.GetMediaTrackInfo_Value(track, "IP_TRACKNUMBER"))
  end

  -- Whether stembridge made this track.
  function items.is_own(track)
    local ok, tag = reaper.GetSetMediaTrackInfo_String(track, tags.KEY, "", false)
    return ok and tags.read_track(tag) ~= nil
  end

  local function is_muted(object, get) return get(object, "B_MUTE") > 0.5 end

  local function value(item, name) return reaper.GetMediaItemInfo_Value(item, name) end

  -- Selected items of the user's, each with its active take: {item, take, track, midi}.
  function items.selected(proj)
    local found = {}
    for i = 0, reaper.CountSelectedMediaItems(proj) - 1 do
      local item = reaper.GetSelectedMediaItem(proj, i)
      local take = reaper.GetActiveTake(item)
      local track = reaper.GetMediaItem_Track(item)
      if take and not items.is_own(track) then
        found[#found + 1] = { item = item, take = take, track = track, midi = reaper.TakeIsMIDI(take) }
      end
    end
    return found
  end

  -- All MIDI items that sound, as `items.selected` gives them.
  function items.all_midi(proj, pause)
    local found = {}
    for t = 0, reaper.CountTracks(proj) - 1 do
      local track = reaper.GetTrack(proj, t)
      if track and not is_muted(track, reaper.GetMediaTrackInfo_Value) and not items.is_own(track) then
        for i = 0, reaper.CountTrackMediaItems(track) - 1 do
          local item = reaper.GetTrackMediaItem(track, i)
          local take = not is_muted(item, reaper.GetMediaItemInfo_Value) and reaper.GetActiveTake(item)
          if take and reaper.TakeIsMIDI(take) then
            found[#found + 1] = { item = item, take = take, track = track, midi = true }
          end
        end
      end
      pause()
    end
    return found
  end

  -- Beats after which a looped item repeats its source, or nil.
  local function loop_beats(proj, item, take)
    if value(item, "B_LOOPSRC") < 0.5 then return nil end
    local length, in_beats = reaper.GetMediaSourceLength(reaper.GetMediaItemTake_Source(take))
    if not in_beats then
      local start = value(item, "D_POSITION")
      length = map.second2beat(proj, start + length) - map.second2beat(proj, start)
    end
    return length > 0.01 and length or nil
  end

  -- Notes of a MIDI item between its edges: {beat, length, pitch, velocity, channel}, beats.
  local function read_notes(proj, found, notes, pause)
    local item, take = found.item, found.take
    local from = map.second2beat(proj, value(item, "D_POSITION"))
    local to = map.second2beat(proj, value(item, "D_POSITION") + value(item, "D_LENGTH"))
    local loop = loop_beats(proj, item, take)
    local _, count = reaper.MIDI_CountEvts(take)
    for i = 0, math.floor(count) - 1 do
      local ok, _, muted, start, stop, channel, pitch, velocity = reaper.MIDI_GetNote(take, i)
      if ok and not muted then
        local first = map.second2beat(proj, reaper.MIDI_GetProjTimeFromPPQPos(take, start))
        local last = map.second2beat(proj, reaper.MIDI_GetProjTimeFromPPQPos(take, stop))
        repeat
          if first >= from - 1e-6 and first < to - 1e-6 then
            notes[#notes + 1] = {
              beat = first, length = math.min(last, to) - first, pitch = math.floor(pitch),
              velocity = math.floor(velocity), channel = math.floor(channel),
            }
          end
          if loop then first, last = first + loop, last + loop end
        until not loop or first >= to
      end
      pause()
      if not reaper.ValidatePtr2(proj, take, "MediaItem_Take*") then return end
    end
  end

  -- Keys that the item's KSIG events and its editor's scale name.
  local function read_keys(proj, found, events, scales)
    local start = map.second2beat(proj, value(found.item, "D_POSITION"))
    local _, _, _, count = reaper.MIDI_CountEvts(found.take)
    for i = 0, math.floor(count) - 1 do
      local ok, _, _, at, kind, text = reaper.MIDI_GetTextSysexEvt(found.take, i, false, false, 0, 0, "")
      if ok and math.floor(kind) == 15 then
        local tonic, mode = keys.ksig2key(text)
        local beat = map.second2beat(proj, reaper.MIDI_GetProjTimeFromPPQPos(found.take, at))
        if tonic then events[#events + 1] = { beat = beat, tonic = tonic, mode = mode } end
      end
    end
    local snaps, root, mask = reaper.MIDI_GetScale(found.take, 0, 0, "")
    if snaps then
      local tonic, mode = keys.scale2key(root, mask)
      if tonic then scales[#scales + 1] = { beat = start, tonic = tonic, mode = mode } end
    end
  end

  local function in_ticks(notes)
    local first = math.huge
    for _, note in ipairs(notes) do first = math.min(first, note.beat) end
    first = math.floor(first)
    for _, note in ipairs(notes) do
      note.tick = math.floor((note.beat - first) * smf.TICKS + 0.5)
      note.length = math.max(1, math.floor(note.length * smf.TICKS + 0.5))
    end
    return first
  end

  -- Context tracks {name, midi, start, use} of MIDI items, one file for each track; `writer` makes files. Keys that the
  -- items name go to `events` and `scales`.
  function items.midi2tracks(proj, found, writer, events, scales, pause)
    local order, of_track = {}, {}
    for _, one in ipairs(found) do
      if one.midi and reaper.ValidatePtr2(proj, one.take, "MediaItem_Take*") then
        if not of_track[one.track] then
          of_track[one.track] = {}
          order[#order + 1] = one.track
        end
        read_notes(proj, one, of_track[one.track], pause)
        if reaper.ValidatePtr2(proj, one.take, "MediaItem_Take*") then read_keys(proj, one, events, scales) end
        pause()
      end
    end
    local tracks = {}
    for _, track in ipairs(order) do
      local notes = of_track[track]
      if #notes > 0 and reaper.ValidatePtr2(proj, track, "MediaTrack*") then
        local name = track_name(track)
        local start = in_ticks(notes)
        local path = writer(name, "mid", smf.notes2bytes(name, notes, pause))
        tracks[#tracks + 1] = { name = name, midi = path, start = start, use = "follow" }
      end
    end
    return tracks
  end

  -- The item's own file where it plays that file as it is: path, seconds into it, seconds long. Else nil.
  local function plain_file(one)
    local take, item = one.take, one.item
    local source = reaper.GetMediaItemTake_Source(take)
    local function take_value(name) return reaper.GetMediaItemTakeInfo_Value(take, name) end
    local changed = not source or reaper.GetMediaSourceParent(source) or reaper.TakeFX_GetCount(take) > 0
      or reaper.GetTakeNumStretchMarkers(take) > 0 or reaper.CountTakeEnvelopes(take) > 0
      or math.abs(take_value("D_PLAYRATE") - 1) > 1e-9 or math.abs(take_value("D_PITCH")) > 1e-9
      or math.abs(take_value("D_VOL") - 1) > 1e-9 or take_value("I_CHANMODE") ~= 0
    if changed then return nil end
    local path = reaper.GetMediaSourceFileName(source, "")
    local ending = path:match("%.(%w+)$")
    local length, in_beats = reaper.GetMediaSourceLength(source)
    local from, seconds = take_value("D_STARTOFFS"), value(item, "D_LENGTH")
    if not ending or not AUDIO[ending:lower()] or in_beats or from < 0 or from + seconds > length + NEAR then
      return nil
    end
    return path, from, math.min(seconds, length - from), length
  end

  -- Renders at most `most` seconds of an item, as its take sounds, into a WAV; returns its path.
  local function render(proj, one, most, writer, pause)
    local take, item = one.take, one.item
    local source = reaper.GetMediaItemTake_Source(take)
    local rate = map.sample_rate(proj)
    local channels = source and math.max(1, math.min(2, math.floor(reaper.GetMediaSourceNumChannels(source)))) or 2
    local accessor = reaper.CreateTakeAudioAccessor(take)
    if not accessor then error("The item '" .. reaper.GetTakeName(take) .. "' cannot be read as audio.", 0) end
    local start = reaper.GetAudioAccessorStartTime(accessor)
    local seconds = math.min(reaper.GetAudioAccessorEndTime(accessor) - start, value(item, "D_LENGTH"), most)
    local frames, at = math.floor(seconds * rate + 0.5), 0
    local path = writer(track_name(one.track), "wav")
    local buffer = reaper.new_array(BLOCK * channels)
    local file
    local ok, why = pcall(function()
      file = wav.create(path, rate, channels)
      while at < frames do
        local count = math.min(BLOCK, frames - at)
        buffer.clear(0)
        if reaper.GetAudioAccessorSamples(accessor, rate, channels, start + at / rate, count, buffer) < 0 then
          error("The item could not be read as audio.", 0)
        end
        file:add(buffer.table(1, count * channels))
        at = at + count
        pause()
        if not reaper.ValidatePtr2(proj, take, "MediaItem_Take*") then
          error("The item was removed while it was read.", 0)
        end
      end
    end)
    reaper.DestroyAudioAccessor(accessor)
    if ok then ok, why = pcall(file.close, file) elseif file then file:drop() end
    if not ok then error(why, 0) end
    return path, seconds
  end

  -- Context tracks {name, audio, start, use} of audio items. An item that shows a whole file gives that file.
  function items.audio2tracks(proj, found, writer, pause)
    local tracks = {}
    for _, one in ipairs(found) do
      if not one.midi and reaper.ValidatePtr2(proj, one.take, "MediaItem_Take*") then
        local position = value(one.item, "D_POSITION")
        local path, from, seconds, length = plain_file(one)
        if not path or from > NEAR or seconds < length - NEAR then
          path = render(proj, one, math.huge, writer, pause)
        end
        local start = map.second2beat(proj, position)
        tracks[#tracks + 1] = { name = track_name(one.track), audio = path, start = start, use = "follow" }
      end
    end
    return tracks
  end

  -- References {audio, from_second, seconds} of audio items.
  function items.audio2references(proj, found, writer, pause)
    local references = {}
    for _, one in ipairs(found) do
      if not one.midi and reaper.ValidatePtr2(proj, one.take, "MediaItem_Take*") then
        local path, from, seconds = plain_file(one)
        if not path then
          path, seconds = render(proj, one, REFERENCE_SECONDS, writer, pause)
          from = 0
        end
        seconds = math.min(seconds, REFERENCE_SECONDS)
        references[#references + 1] = { audio = path, from_second = from, seconds = seconds }
      end
    end
    return references
  end

  local REFERENCE = { ref = true, reference = true, referenz = true, referencia = true, riferimento = true }

  -- Whether an audio item is a reference by the first word of its track's name.
  function items.is_reference(one)
    return not one.midi and REFERENCE[track_name(one.track):lower():match("%a+")] == true
  end

  -- A function(name, ending, bytes?) that names the next file of a job in `folder`, and writes it if bytes are given.
  function items.writer(folder, job, write)
    local number = 0
    return function(name, ending, bytes)
      number = number + 1
      local file = string.format("%s-%02d-%s.%s", job:sub(1, 8), number, request.name2file(name), ending)
      local path = folder .. "/" .. file
      if bytes then write(path, bytes) end
      return path
    end
  end

  return items
end
