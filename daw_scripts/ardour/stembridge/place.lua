-- Stems and their MIDI onto tracks, on the sample. The user's own tracks and regions are never touched; on a track of
-- the band a new version goes into a copy of the playlist, so that the old one can be chosen again.

return function(use)
  local smf, takes = use("smf"), use("takes")
  local place = {}
  local changes = {} -- since the last undo step: {playlist, removed, added}, see `note_change`

  local function id(object) return object:to_stateful():id():to_s() end

  local function source(region) return id(region:source(0)) end

  local function regions(playlist)
    local found = {}
    for region in playlist:region_list():iter() do found[#found + 1] = region end
    return found
  end

  -- Adds regions {region, position} to a playlist. Returns them as they are in it: Ardour adds some as copies.
  local function put_on(playlist, placed)
    local before, found = {}, {}
    for _, region in ipairs(regions(playlist)) do before[id(region)] = true end
    for _, item in ipairs(placed) do playlist:add_region(item.region, item.position, 1, false) end
    for _, region in ipairs(regions(playlist)) do
      if not before[id(region)] then found[#found + 1] = { region = region, position = region:position() } end
    end
    return found
  end

  local function take_off(playlist, placed)
    for _, item in ipairs(placed) do playlist:remove_region(item.region) end
  end

  -- `removed`: {region, position} that stood where the regions `added` are now.
  local function note_change(playlist, removed, added)
    local placed = {}
    for i, region in ipairs(added) do placed[i] = { region = region, position = region:position() } end
    changes[#changes + 1] = { playlist = playlist, removed = removed, added = placed }
  end

  local function add_line(route, line)
    local comment = route:comment()
    route:set_comment(comment == "" and line or comment .. "\n" .. line, nil)
  end

  local function track_ids()
    local ids = {}
    for route in Session:get_tracks():iter() do ids[id(route)] = true end
    return ids
  end

  -- Ardour keeps an undo step for each import, which would take a region from a new track and leave the track. These
  -- steps are dropped; `place.commit` makes one for the whole job.
  local function import(path, position, track)
    local paths = C.StringVector()
    paths:push_back(path)
    Session:begin_reversible_command("stembridge")
    local ok, trouble = pcall(function()
      Editor:do_import(paths, Editing.ImportDistinctFiles, Editing.ImportAsTrack, ARDOUR.SrcQuality.SrcBest,
        ARDOUR.MidiTrackNameSource.SMFTrackName, ARDOUR.MidiTempoMapDisposition.SMFTempoIgnore,
        position, ARDOUR.PluginInfo(), track or ARDOUR.Track(), false)
    end)
    Session:abort_reversible_command()
    if not ok then error(trouble, 0) end
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

  -- Ardour selects a track that it makes. What the user sees selected is what the next wish is about, so nothing is,
  -- unless bars or regions are selected: Ardour can only let go of everything at once.
  local function unselect()
    local selection = Editor:get_selection()
    local bars = selection.time:start_sample() < selection.time:end_sample()
    if not bars and selection.regions:regionlist():empty() then Editor:deselect_all() end
  end

  local function import_as_tracks(path, position, name)
    local before, made = track_ids(), {}
    import(path, position)
    for route in Session:get_tracks():iter() do
      if not before[id(route)] then
        made[#made + 1] = route
        route:set_name(free_name(route, name))
        note_change(route:to_track():playlist(), {}, regions(route:to_track():playlist()))
      end
    end
    if #made > 0 then unselect() end
    return made
  end

  -- Whether a region is of ours and overlaps the stem. `own`: landings by the ids of their sources.
  local function is_in_the_way(region, stem, own)
    local from, length = region:position():samples(), region:length():samples()
    local apart = from >= stem.start_sample + stem.samples or from + length <= stem.start_sample
    return not apart and own[source(region)] ~= nil
  end

  -- Gives the track a new playlist with copies of all regions of the old one but those in the stem's way. Returns copies
  -- of these, for the undo step: without those of the same job, which is undone as a whole. The copy of a MIDI region has
  -- a source of its own, which is then known as ours, too.
  local function renew_playlist(route, kind, stem, own, job)
    local track, removed, kept, versions = route:to_track(), {}, {}, 0
    local old = track:playlist()
    for _ in Session:playlists():playlists_for_track(track):iter() do versions = versions + 1 end
    track:use_new_playlist(ARDOUR.DataType(kind))
    track:playlist():set_name(string.format("%s take %d", route:name(), versions + 1))
    for _, region in ipairs(regions(old)) do
      local landing = own[source(region)]
      local copy = { region = ARDOUR.RegionFactory.clone_region(region, true, false), position = region:position() }
      if not is_in_the_way(region, stem, own) then
        kept[#kept + 1] = copy
      elseif landing.job ~= job then
        removed[#removed + 1] = copy
      end
      if landing and source(copy.region) ~= landing.source then
        add_line(route, takes.landing2line(landing, source(copy.region)))
      end
    end
    put_on(track:playlist(), kept)
    return removed
  end

  -- The stem into the playlist of a track, or into a new one where an earlier version stands in its place.
  local function import_onto(route, path, position, stem, landing)
    local own, track, removed, before = {}, route:to_track(), {}, {}
    for _, earlier in ipairs(takes.comment2landings(route:comment())) do own[earlier.source] = earlier end
    for _, region in ipairs(regions(track:playlist())) do
      if is_in_the_way(region, stem, own) then
        removed = renew_playlist(route, landing.kind, stem, own, landing.job)
        break
      end
    end
    local playlist = track:playlist()
    for _, region in ipairs(regions(playlist)) do before[id(region)] = true end
    import(path, position, track)
    local added = {}
    for _, region in ipairs(regions(playlist)) do
      if not before[id(region)] then added[#added + 1] = region end
    end
    note_change(playlist, removed, added)
    return added
  end

  -- The track on which an earlier version of the stem landed. `is_kin(job)`: whether a job belongs to the stem's.
  local function earlier_track(stem, kind, is_kin)
    for route in Session:get_tracks():iter() do
      for _, landing in ipairs(takes.comment2landings(route:comment())) do
        if landing.kind == kind and landing.stem == stem.stem and is_kin(landing.job) then return route end
      end
    end
  end

  -- Puts a stem's audio or MIDI (`landing.kind`) on the track of its earlier version, or on a new one. Returns nil, or
  -- what is wrong with where it landed.
  function place.place(stem, landing, is_kin)
    local path, position, name = stem.wav, Temporal.timepos_t(stem.start_sample), stem.stem
    if landing.kind == "midi" then
      path, name = stem.midi, stem.stem .. " MIDI"
      position = Temporal.timepos_t.from_ticks(math.floor(stem.start_beat * smf.TICKS + 0.5))
    end
    local file, why = io.open(path, "rb")
    if not file then return why end
    file:close()
    local route, problem = earlier_track(stem, landing.kind, is_kin), nil
    local tracks, added = { route }, {}
    if route then
      added = import_onto(route, path, position, stem, landing)
    else
      tracks = import_as_tracks(path, position, name)
      for _, made in ipairs(tracks) do
        for _, region in ipairs(regions(made:to_track():playlist())) do added[#added + 1] = region end
      end
    end
    -- Of a file without notes Ardour makes no region, and none is missed.
    if #added == 0 and landing.kind == "audio" then return "Ardour could not import " .. path end
    for _, region in ipairs(added) do
      fades_off(region)
      if landing.kind == "audio" then problem = problem or check(region, stem) end
    end
    for _, track in ipairs(tracks) do add_line(track, takes.landing2line(landing, added[1] and source(added[1]) or "0")) end
    return problem
  end

  -- The landings of a job that are on tracks already.
  function place.landed(job)
    local found = {}
    for route in Session:get_tracks():iter() do
      for _, landing in ipairs(takes.comment2landings(route:comment())) do
        if landing.job == job then found[#found + 1] = landing end
      end
    end
    return found
  end

  -- After an engine's restart a take may have another number: says so in the comments of its tracks.
  function place.renumber(job, old, new)
    for route in Session:get_tracks():iter() do
      local comment = route:comment()
      local from, to = string.format("stembridge %s take-%d ", job, old), string.format("stembridge %s take-%d ", job, new)
      local changed = comment:gsub("[^\n]+", function(line)
        if line:sub(1, #from) == from then return to .. line:sub(#from + 1) end
      end)
      if changed ~= comment then route:set_comment(changed, nil) end
    end
  end

  -- What plays on the band's tracks: {landing, selected}.
  function place.heard()
    local found = {}
    for route in Session:get_tracks():iter() do
      local comment, sources = route:comment(), {}
      if comment:match(takes.OWN) then
        for _, region in ipairs(regions(route:to_track():playlist())) do sources[source(region)] = true end
        for _, landing in ipairs(takes.playing(comment, sources)) do
          found[#found + 1] = { landing = landing, selected = route:is_selected() }
        end
      end
    end
    return found
  end

  local function holds(playlist, placed)
    local there = {}
    for _, region in ipairs(regions(playlist)) do there[id(region)] = true end
    for _, item in ipairs(placed) do
      if not there[id(item.region)] then return false end
    end
    return true
  end

  -- The playlists that belong to a track still, as a set of ids.
  local function living_playlists()
    local ids = {}
    for route in Session:get_tracks():iter() do
      for playlist in Session:playlists():playlists_for_track(route:to_track()):iter() do ids[id(playlist)] = true end
    end
    return ids
  end

  -- Adds a change to the open undo step: everything as before, then as it is now again.
  local function record(change)
    local playlist = change.playlist
    take_off(playlist, change.added)
    local removed = put_on(playlist, change.removed)
    playlist:to_stateful():clear_changes()
    take_off(playlist, removed)
    put_on(playlist, change.added)
    Session:add_stateful_diff_command(playlist:to_statefuldestructible())
  end

  -- Makes one undo step of all that has landed since the last one: undoing it brings back what played before. The
  -- tracks and playlists that were made stay, for Ardour cannot undo those. What the user has moved or taken away since
  -- then is left out.
  function place.commit(title)
    local mine, living = changes, living_playlists()
    changes = {}
    Session:begin_reversible_command(title)
    local ok, trouble = pcall(function()
      for _, change in ipairs(mine) do
        if living[id(change.playlist)] and holds(change.playlist, change.added) then record(change) end
      end
    end)
    if not ok then
      Session:abort_reversible_command()
      error(trouble, 0)
    end
    if not Session:abort_empty_reversible_command() then Session:commit_reversible_command(nil) end
  end

  return place
end
