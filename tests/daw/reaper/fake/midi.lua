-- MIDI takes: events in ticks (960 to the quarter note) from the source's start, notes as pairs of them.
--
-- An event is { tick, flags, bytes }; flags: 1 selected, 2 muted. The list stays in order unless a note was put in with
-- "no sort", after which nothing may be read until it is sorted. A source is as long as its last event.

return function(fake)
  local model, impl, tempo = fake.model, fake.api.impl, fake.tempo
  local pointer = fake.api.pointer
  local PPQ = 960

  local function events_of(take, called)
    local source = take.source
    if not source or source.kind ~= "MIDI" then fake.refuse(called .. ": not a MIDI take", 4) end
    if not source.sorted then fake.refuse(called .. " before MIDI_Sort", 4) end
    return source.events
  end

  local function sort(source)
    local order = {}
    for i, event in ipairs(source.events) do order[event] = i end
    table.sort(source.events, function(a, b)
      if a[1] ~= b[1] then return a[1] < b[1] end
      return order[a] < order[b]
    end)
    source.sorted = true
    fake.unsorted[source] = nil
  end

  fake.sort_midi = sort

  local kept = setmetatable({}, { __mode = "k" })

  local function changed(take)
    local source = take.source
    kept[source] = nil
    local last = source.events[#source.events]
    source.length = (last and last[1] or 0) / PPQ
    model.touch(model.project_of(take), "items", "MIDI")
  end

  -- Notes: { start, stop, channel, pitch, velocity, flags }, in the order in which they are struck.
  local function notes_of(events)
    local notes, sounding = {}, {}
    for _, event in ipairs(events) do
      local status, pitch, velocity = event[3]:byte(1, 3)
      local kind, key = status & 0xF0, (status & 0x0F) * 128 + (pitch or 0)
      if kind == 0x90 and velocity > 0 then
        if sounding[key] then fake.note("a note is struck while it sounds") end
        local note = { event[1], nil, status & 0x0F, pitch, velocity, event[2] }
        notes[#notes + 1], sounding[key] = note, note
      elseif (kind == 0x80 or kind == 0x90) and sounding[key] then
        sounding[key][2] = event[1]
        sounding[key] = nil
      end
    end
    return notes, next(sounding) ~= nil
  end

  -- The same for a take that is read note by note: kept until its source changes.
  local function notes_in(take, called)
    local events = events_of(take, called)
    local known = kept[take.source]
    if not known or known.events ~= events or known.count ~= #events then
      known = { events = events, count = #events, notes = notes_of(events) }
      kept[take.source] = known
    end
    return known.notes
  end

  function fake.new_midi(item)
    local take = fake.new_take(item)
    take.source = { kind = "MIDI", length = 0.0, events = {}, sorted = true }
    model.own_source(take.source, take)
    return take
  end

  function impl.CreateNewMIDIItemInProj(track, start, stop, in_quarters)
    local project = model.owner(track)
    if in_quarters == true then
      start, stop = impl.TimeMap2_QNToTime(project, start), impl.TimeMap2_QNToTime(project, stop)
    end
    if start < 0 or stop <= start then fake.refuse("a MIDI item from " .. start .. " to " .. stop, 3) end
    local item = fake.new_item(track, start, stop - start)
    local take = fake.new_midi(item)
    local beats = tempo.time2qn(project, stop) - tempo.time2qn(project, start)
    take.source.events = { { math.floor(beats * PPQ + 0.5), 0, "\xB0\x7B\x00" } }
    fake.sort_items(track)
    changed(take)
    return pointer("MediaItem", item)
  end

  function impl.TakeIsMIDI(take) return take.source ~= nil and take.source.kind == "MIDI" end

  -- Time -------------------------------------------------------------------------------------------------------------

  local function origin_of(take)
    local item = model.owner(take)
    return tempo.time2qn(model.project_of(take), item.position - take.offset / take.rate)
  end

  local function qn2tick(take, qn) return (qn - origin_of(take)) * PPQ * take.rate end

  local function tick2qn(take, tick) return origin_of(take) + tick / PPQ / take.rate end

  function impl.MIDI_GetPPQPosFromProjTime(take, time)
    return qn2tick(take, tempo.time2qn(model.project_of(take), time))
  end

  function impl.MIDI_GetProjTimeFromPPQPos(take, tick)
    return tempo.qn2time(model.project_of(take), tick2qn(take, tick))
  end

  -- Reading ----------------------------------------------------------------------------------------------------------

  local function texts_of(events)
    local texts = {}
    for _, event in ipairs(events) do
      local status = event[3]:byte(1)
      if status == 0xFF or status == 0xF0 then texts[#texts + 1] = event end
    end
    return texts
  end

  function impl.MIDI_CountEvts(take)
    local events = events_of(take, "MIDI_CountEvts")
    local notes, controls = notes_of(events), 0
    for _, event in ipairs(events) do
      local status = event[3]:byte(1)
      if status >= 0xA0 and status < 0xF0 then controls = controls + 1 end
    end
    return #events, #notes, controls, #texts_of(events)
  end

  local function marks(flags) return flags & 1 ~= 0, flags & 2 ~= 0 end

  function impl.MIDI_GetNote(take, index)
    local note = notes_in(take, "MIDI_GetNote")[index + 1]
    if not note then return false, false, false, 0.0, 0.0, 0, 0, 0 end
    local selected, muted = marks(note[6])
    return true, selected, muted, note[1] + 0.0, (note[2] or note[1]) + 0.0, note[3], note[4], note[5]
  end

  function impl.MIDI_GetTextSysexEvt(take, index)
    local event = texts_of(events_of(take, "MIDI_GetTextSysexEvt"))[index + 1]
    if not event then return false, false, false, 0.0, 0, "" end
    local selected, muted = marks(event[2])
    local status, kind = event[3]:byte(1, 2)
    if status == 0xF0 then return true, selected, muted, event[1] + 0.0, -1, event[3]:sub(2, -2) end
    return true, selected, muted, event[1] + 0.0, kind, event[3]:sub(3)
  end

  function impl.MIDI_GetScale(take)
    local scale = take.source and take.source.scale
    if not scale then return false, 0, 0, "" end
    return true, scale.root, scale.mask, scale.name
  end

  -- Writing ----------------------------------------------------------------------------------------------------------

  function impl.MIDI_InsertNote(take, selected, muted, start, stop, channel, pitch, velocity, no_sort)
    local source = take.source
    if not source or source.kind ~= "MIDI" then fake.refuse("MIDI_InsertNote: not a MIDI take", 3) end
    local right = start >= 0 and stop > start and channel >= 0 and channel <= 15 and pitch >= 0 and pitch <= 127
      and velocity >= 1 and velocity <= 127
    if not right then
      local format = "MIDI_InsertNote: ticks %g to %g, channel %d, pitch %d, velocity %d"
      fake.refuse(format:format(start, stop, channel, pitch, velocity), 3)
    end
    local flags = (selected and 1 or 0) + (muted and 2 or 0)
    local events, last = source.events, table.remove(source.events)
    events[#events + 1] = { math.floor(start + 0.5), flags, string.char(0x90 | channel, pitch, velocity) }
    events[#events + 1] = { math.floor(stop + 0.5), flags, string.char(0x80 | channel, pitch, 0) }
    if last then
      last[1] = math.max(last[1], events[#events][1])
      events[#events + 1] = last
    end
    source.sorted = false
    fake.unsorted[source] = true
    if no_sort ~= true then sort(source) end
    changed(take)
    return true
  end

  function impl.MIDI_Sort(take)
    if not take.source or take.source.kind ~= "MIDI" then fake.refuse("MIDI_Sort: not a MIDI take", 3) end
    sort(take.source)
    changed(take)
  end

  local LENGTHS = { [0x80] = 3, [0x90] = 3, [0xA0] = 3, [0xB0] = 3, [0xC0] = 2, [0xD0] = 2, [0xE0] = 3 }

  function impl.MIDI_SetAllEvts(take, buffer)
    if not take.source or take.source.kind ~= "MIDI" then fake.refuse("MIDI_SetAllEvts: not a MIDI take", 3) end
    local events, at, now = {}, 1, 0
    while at <= #buffer do
      local ok, offset, flags, bytes, after = pcall(string.unpack, "<i4Bs4", buffer, at)
      if not ok then fake.refuse("MIDI_SetAllEvts: the buffer ends inside an event", 3) end
      if offset < 0 then fake.refuse("MIDI_SetAllEvts: an event before the one in front of it", 3) end
      now, at = now + offset, after
      if bytes ~= "" then
        local status = bytes:byte(1)
        local length = LENGTHS[status & 0xF0]
        if status < 0x80 or length and #bytes ~= length then fake.refuse("MIDI_SetAllEvts: not a MIDI message", 3) end
        if length and bytes:find("[\x80-\xFF]", 2) then fake.refuse("MIDI_SetAllEvts: a data byte over 127", 3) end
        events[#events + 1] = { now, flags, bytes }
      end
    end
    local last = events[#events]
    if not last or last[3]:byte(1) & 0xF0 ~= 0xB0 or last[3]:byte(2) ~= 123 then
      fake.refuse("MIDI_SetAllEvts: the last event must be the all-notes-off that ends the source", 3)
    end
    local _, hanging = notes_of(events)
    if hanging then fake.refuse("MIDI_SetAllEvts: a note that never ends", 3) end
    take.source.events, take.source.sorted = events, true
    changed(take)
    return true
  end
end
