-- Stems and their MIDI onto new tracks, on the sample. The user's own tracks and regions are never touched.

return function(use)
  local smf = use("smf")
  local place = {}

  local function id(route) return route:to_stateful():id():to_s() end

  local function track_ids()
    local ids = {}
    for route in Session:get_tracks():iter() do ids[id(route)] = true end
    return ids
  end

  local function import(path, position)
    local paths = C.StringVector()
    paths:push_back(path)
    local before = track_ids()
    Editor:do_import(paths, Editing.ImportDistinctFiles, Editing.ImportAsTrack, ARDOUR.SrcQuality.SrcBest,
      ARDOUR.MidiTrackNameSource.SMFTrackName, ARDOUR.MidiTempoMapDisposition.SMFTempoIgnore,
      position, ARDOUR.PluginInfo(), ARDOUR.Track(), false)
    local made = {}
    for route in Session:get_tracks():iter() do
      if not before[id(route)] then made[#made + 1] = route end
    end
    return made
  end

  -- `wanted`, or `wanted` with the first number that no other track has.
  local function free_name(route, wanted)
    local function is_taken(name)
      local other = Session:route_by_name(name)
      return not other:isnil() and id(other) ~= id(route)
    end
    local name, number = wanted, 1
    while is_taken(name) do
      number = number + 1
      name = wanted .. " " .. number
    end
    return name
  end

  -- Region fades would silence the first sample.
  local function fades_off(region)
    local audio = region:to_audioregion()
    if audio:isnil() then return end
    audio:set_fade_in_active(false)
    audio:set_fade_out_active(false)
  end

  local function check(region, stem)
    local at, length = region:position():samples(), region:length():samples()
    if at ~= stem.start_sample then return string.format("landed on sample %d instead of %d", at, stem.start_sample) end
    if length ~= stem.samples then return string.format("has %d samples instead of %d", length, stem.samples) end
  end

  -- Puts a stem's "audio" or "midi" on a new track. Returns nil, or what is wrong with where it landed.
  -- `landing` goes into the track's comment: by it the track is known as ours.
  function place.place(stem, kind, landing)
    local wanted = stem.stem .. (stem.take > 1 and " take " .. stem.take or "")
    local path, position
    if kind == "audio" then
      path, position = stem.wav, Temporal.timepos_t(stem.start_sample)
    else
      wanted = wanted .. " MIDI"
      path, position = stem.midi, Temporal.timepos_t.from_ticks(math.floor(stem.start_beat * smf.TICKS + 0.5))
    end
    local file, why = io.open(path, "rb")
    if not file then return why end
    file:close()
    local made, problem = import(path, position), nil
    -- Of a file without notes Ardour makes no track, and none is missed.
    if #made == 0 and kind == "audio" then return "Ardour could not import " .. path end
    for _, route in ipairs(made) do
      route:set_name(free_name(route, wanted))
      route:set_comment(landing, nil)
      for region in route:to_track():playlist():region_list():iter() do
        fades_off(region)
        if kind == "audio" then problem = problem or check(region, stem) end
      end
    end
    return problem
  end

  -- The landing names of a job's material that is in the session already.
  function place.landed(job)
    local found = {}
    for route in Session:get_tracks():iter() do
      local comment = route:comment()
      if comment:find("stembridge " .. job .. " ", 1, true) == 1 then found[comment] = true end
    end
    return found
  end

  return place
end
