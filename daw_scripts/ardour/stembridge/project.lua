-- What the session says, read through Ardour's own conversions. Reading is cut into steps of well under a millisecond:
-- a step is a function that returns true while it wants to be called again. Nothing in the session is changed.

return function(use)
  local clock, labels, marks, smf = use("clock"), use("labels"), use("marks"), use("smf")
  local asking, audio, files, request = use("asking"), use("audio"), use("mailbox"), use("request")
  local sections, takes, verbs = use("sections"), use("takes"), use("verbs")

  local project = {}
  local TICKS = smf.TICKS -- of a quarter note in Ardour
  local NOTES_A_STEP, READINGS_A_STEP, PAIRS_A_STEP = 40, 24, 50
  local NEAR_TICK = 1e-6 -- of a tick: a beat that was written as a decimal number

  project.TERMS = {
    one = "range", many = "ranges",
    nothing = "Nothing is marked. Make a range for every section (Intro, Verse 1, Chorus ...): drag in the Range "
      .. "Markers ruler, then rename it; or select the bars to work on with the range tool.",
  }

  local function at_tick(tick) return Temporal.timepos_t.from_ticks(tick) end

  -- Ticks of a Beats value, which Lua sees as text only ("16:960").
  local function beats2ticks(beats)
    local whole, rest = beats:str():match("^(-?%d+):(-?%d+)$")
    return math.tointeger(whole) * TICKS + math.tointeger(rest)
  end

  -- Beat and sample of a position. Off the grid the beat is a fraction of a tick, so that the sample is met exactly.
  local function position2beat(map, position)
    local sample = position:samples()
    local tick = position:ticks()
    if position:is_beats() or map:sample_at(at_tick(tick)) == sample then return tick / TICKS, sample end
    if map:sample_at(at_tick(tick)) > sample then tick = tick - 1 end
    local from, to = map:sample_at(at_tick(tick)), map:sample_at(at_tick(tick + 1))
    return (tick + (sample - from) / (to - from)) / TICKS, sample
  end

  -- The selected time as {start, stop} in beats and their samples, or nil.
  function project.selection()
    local map, time, found = Temporal.TempoMap.read(), Editor:get_selection().time, {}
    if time:start_sample() >= time:end_sample() then return nil end
    found.start, found.start_sample = position2beat(map, time:start_time())
    found.stop, found.stop_sample = position2beat(map, time:end_time())
    return found
  end

  local function read_locations(raw)
    local map = Temporal.TempoMap.read()
    for place in Session:locations():list():iter() do
      local own = place:is_session_range() or place:is_auto_loop() or place:is_auto_punch()
      if not (own or place:is_hidden() or place:is_cd_marker() or place:is_cue_marker()) then
        local beat, sample = position2beat(map, place:start())
        local item = { name = place:name(), start = beat }
        raw.borders[#raw.borders + 1] = { beat = beat, sample = sample }
        if place:is_mark() then
          if not item.name:match("^xrun") then raw.marks[#raw.marks + 1] = item end
        elseif place:is_range_marker() then
          item.stop, sample = position2beat(map, place:_end())
          raw.borders[#raw.borders + 1] = { beat = item.stop, sample = sample }
          raw.ranges[#raw.ranges + 1] = item
        end
      end
    end
    local whole = Session:locations():session_range_location()
    if whole then raw.session_end = position2beat(map, whole:_end()) end
  end

  -- A step that reads one MIDI track, some notes at a time, and writes them as a file for the engine.
  local function read_track(route, path, raw)
    local regions, notes = nil, {}
    local next_note, region

    local function open_next_region()
      region = table.remove(regions, 1)
      if not region then return false end
      local midi = region:to_midiregion()
      next_note = ARDOUR.LuaAPI.note_list(midi:model()):iter()
      return true
    end

    local function add(note)
      local from, length = region:start():ticks(), region:length():ticks()
      local tick = beats2ticks(note:time())
      if tick < from or tick >= from + length then return end -- hidden by the region's edges
      local last = math.min(tick + beats2ticks(note:length()), from + length)
      notes[#notes + 1] = {
        tick = region:position():ticks() + tick - from, length = last - tick,
        pitch = note:note(), velocity = note:velocity(), channel = note:channel(),
      }
    end

    local function write()
      local first = math.huge
      for _, note in ipairs(notes) do first = math.min(first, note.tick) end
      first = first // TICKS * TICKS
      for _, note in ipairs(notes) do
        raw.song_end = math.max(raw.song_end, (note.tick + note.length) / TICKS)
        note.tick = note.tick - first
      end
      files.write(path, smf.notes2bytes(route:name(), notes))
      raw.tracks[#raw.tracks + 1] = { name = route:name(), midi = path, start = first / TICKS, use = "follow" }
    end

    return function()
      if not regions then
        regions = {}
        for item in route:to_track():playlist():region_list():iter() do
          if not item:muted() and not item:to_midiregion():isnil() then regions[#regions + 1] = item end
        end
        return open_next_region()
      end
      for _ = 1, NOTES_A_STEP do
        local note = next_note()
        if note == nil then
          if open_next_region() then return true end
          if #notes > 0 then write() end
          return false
        end
        add(note)
      end
      return true
    end
  end

  local function read_tracks(job, folder, wish, raw, steps)
    local number, audible = 0, {}
    for route in Session:get_tracks():iter() do
      if not route:muted() and not route:comment():match(takes.OWN) then
        if not route:to_track():to_midi_track():isnil() then
          number = number + 1
          local file = string.format("%s-%02d-%s.mid", job:sub(1, 8), number, request.name2file(route:name()))
          table.insert(steps, 2, read_track(route, folder .. "/context/" .. file, raw))
        else
          audible[#audible + 1] = route
        end
      end
    end
    local map = Temporal.TempoMap.read()
    local span, left_out = {}, {}
    for i, beat in ipairs({ raw.song_start, raw.song_end }) do
      span[i] = map:sample_at(at_tick(math.floor(beat * TICKS + 0.5)))
    end
    for _, region in ipairs(wish.references and wish.reference_ids or {}) do left_out[region] = true end
    local function sample2beat(sample) return (position2beat(Temporal.TempoMap.read(), Temporal.timepos_t(sample))) end
    audio.read_tracks(audible, job, folder, span, left_out, raw, steps, sample2beat)
    audio.read_references(wish.references or {}, job, folder, raw, steps)
  end

  -- A step that compares what was sent for a take with what Ardour says now: a stem of that take must lie where Ardour
  -- would put it. Beats between two ticks are compared within a millisecond.
  local function check_clock(asked)
    local pairs_then, i = asked.arrangement.clock, 1
    return function()
      local map, rate = Temporal.TempoMap.read(), asked.arrangement.sample_rate
      local moved = rate ~= math.floor(Session:nominal_sample_rate())
      for _ = 1, PAIRS_A_STEP do
        local pair = pairs_then[i]
        if not pair or moved then break end
        local tick = math.floor(pair[1] * TICKS + 0.5)
        local on_tick = math.abs(pair[1] * TICKS - tick) < NEAR_TICK
        local off = math.abs(pair[2] * rate - map:sample_at(at_tick(tick)))
        moved = off > (on_tick and 0.5 or rate / 1000)
        i = i + 1
      end
      if moved then
        error("The tempo map or the sample rate has changed since that take was made. Use 'stembridge: Generate band' for "
          .. "a new one.", 0)
      end
      return pairs_then[i] ~= nil
    end
  end

  -- Tempo points and metres that begin after the quarter-beat reading before `tick` and up to `tick`.
  local function read_changes(map, tick, before, raw)
    local at = beats2ticks(map:tempo_at(at_tick(tick + 1)):to_point():beats())
    while at > before do
      raw.tempo_points[#raw.tempo_points + 1] = at
      at = beats2ticks(map:tempo_at(at_tick(at)):to_point():beats())
    end
    local metre = map:meter_at(at_tick(tick + 1))
    local from = math.max(0, beats2ticks(metre:to_point():beats()))
    local last = raw.metres[#raw.metres]
    if not last or from > last.tick then
      raw.metres[#raw.metres + 1] =
        { tick = from, beats = math.floor(metre:divisions_per_bar()), unit = math.floor(metre:note_value()) }
    end
  end

  -- A step that walks over the tempo map in quarters of a beat.
  local function walk_map(raw)
    local tick, step = 0, math.floor(clock.STEP * TICKS)
    return function()
      local map = Temporal.TempoMap.read()
      local last = math.ceil(raw.song_end * TICKS)
      for _ = 1, READINGS_A_STEP do
        read_changes(map, tick, math.max(tick - step, 0), raw)
        raw.readings[#raw.readings + 1] = { beat = tick / TICKS, sample = map:sample_at(at_tick(tick)) }
        if tick >= last then return false end
        tick = math.min(tick + step, last)
      end
      return true
    end
  end

  local function join_readings(raw)
    local map, extras = Temporal.TempoMap.read(), {}
    for _, tick in ipairs(raw.tempo_points) do
      extras[#extras + 1] = { beat = tick / TICKS, sample = map:sample_at(at_tick(tick)), tempo = true }
    end
    for _, border in ipairs(raw.borders) do
      extras[#extras + 1] = { beat = border.beat, sample = border.sample, exact = true }
    end
    raw.readings = clock.join(raw.readings, extras)
  end

  local function complete(song, raw)
    song.clock = clock.readings2pairs(raw.readings, song.sample_rate)
    song.metres = {}
    for i, metre in ipairs(raw.metres) do
      if i == 1 or metre.tick / TICKS < song.clock[#song.clock][1] then
        song.metres[#song.metres + 1] = { beat = metre.tick / TICKS, beats = metre.beats, unit = metre.unit }
      end
    end
    song.tracks = raw.tracks
  end

  -- The section that goes on after the take that was asked for as `base`.
  local function next_section(raw, wish, base)
    local _, take_end = verbs.span(base)
    local last = base.arrangement.sections[#base.arrangement.sections]
    local metre = Temporal.TempoMap.read():meter_at(at_tick(math.floor(take_end * TICKS + 0.5)))
    local bar = metre:divisions_per_bar() * 4 / metre:note_value()
    return sections.after(take_end, raw.ranges, wish.selection, verbs.LONGEST * bar, last, labels.name2label)
  end

  -- Keys and sections, from the session or from the take that the wish is about; `raw.song_start` and `raw.song_end`.
  local function read_form(song, raw, wish, base)
    read_locations(raw)
    local locations
    song.keys, locations = marks.marks2keys(raw.marks)
    if asking.KEEPS_CLOCK[wish.ask] and base then
      song.sections = base.arrangement.sections
    elseif wish.ask == "continue" then
      song.sections = { next_section(raw, wish, base) }
    else
      local song_end = raw.session_end
      song.sections = sections.make(raw.ranges, locations, wish.selection, song_end, labels.name2label, project.TERMS)
    end
    local selection = wish.selection
    if selection then
      raw.borders[#raw.borders + 1] = { beat = selection.start, sample = selection.start_sample }
      raw.borders[#raw.borders + 1] = { beat = selection.stop, sample = selection.stop_sample }
    end
    local map = Temporal.TempoMap.read()
    for _, section in ipairs(song.sections) do
      raw.song_start = math.min(raw.song_start, section.start)
      raw.song_end = math.max(raw.song_end, section["end"])
      for _, beat in ipairs({ section.start, section["end"] }) do
        local tick = math.tointeger(beat * TICKS)
        if tick then raw.borders[#raw.borders + 1] = { beat = beat, sample = map:sample_at(at_tick(tick)) } end
      end
    end
  end

  -- Context that begins after the take's last bar would lie outside its clock.
  local function until_end(tracks, pairs_then)
    local found = {}
    for _, track in ipairs(tracks) do
      if track.start < pairs_then[#pairs_then][1] then found[#found + 1] = track end
    end
    return found
  end

  local function new_raw()
    return {
      ranges = {}, marks = {}, borders = {}, tracks = {}, references = {}, remarks = {}, readings = {},
      tempo_points = {}, metres = {}, rate = Session:nominal_sample_rate(),
      song_start = math.huge, song_end = 0, session_end = 0,
    }
  end

  -- Raises an error when what is marked cannot be worked on: cheap enough for an action to ask before it leaves a wish.
  function project.check_marks(wish, base)
    read_form({}, new_raw(), wish, base)
  end

  -- Steps that fill the returned table with the song for `asking.build`. `wish` as there, and `base` what was asked for
  -- the take that it is about. Context files go to `folder`/context. A step raises an error that the user can act on.
  function project.describe(job, folder, wish, base)
    local raw = new_raw()
    local song = {
      name = Session:name(), root = Session:path():gsub("(.)[/\\]+$", "%1"),
      daw = ARDOUR.user_config_directory(-1):match("ardour%d+$") or "ardour",
      sample_rate = math.floor(raw.rate), remarks = raw.remarks, references = raw.references,
    }
    local steps = {}
    steps[1] = function()
      read_form(song, raw, wish, base)
      if wish.ask ~= "next" then read_tracks(job, folder, wish, raw, steps) end
    end
    if asking.KEEPS_CLOCK[wish.ask] and base then
      steps[2] = check_clock(base)
      steps[3] = function()
        song.clock, song.metres = base.arrangement.clock, base.arrangement.metres
        song.tracks = until_end(raw.tracks, song.clock)
      end
    else
      steps[2] = walk_map(raw)
      steps[3] = function() join_readings(raw) end
      steps[4] = function() complete(song, raw) end
    end
    return steps, song
  end

  return project
end
