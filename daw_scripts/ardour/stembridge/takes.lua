-- Which takes play on the band's tracks, and which of them a wish is about. Plain Lua; the tracks come as tables.
--
-- A track of the band is known by its comment: one line for each stem that landed on it,
--   stembridge <job> take-<n> <audio or midi> #<id of the source> <stem>
-- What plays is the newest line whose source is in the playlist: the user may have chosen an older playlist again.

return function(use)
  local ledger, verbs = use("ledger"), use("verbs")
  local takes = {}

  takes.OWN = "^stembridge "

  -- The line of a landing {job, take, kind, stem}; `source` is "0" where a MIDI file without notes made no region.
  function takes.landing2line(landing, source)
    return string.format("stembridge %s take-%d %s #%s %s", landing.job, landing.take, landing.kind, source, landing.stem)
  end

  -- The landings in a comment, oldest first; each with its `source`.
  function takes.comment2landings(comment)
    local found = {}
    for line in comment:gmatch("[^\n]+") do
      local job, take, kind, source, stem = line:match("^stembridge (%S+) take%-(%d+) (%a+) #(%d+) (.+)$")
      if job then
        found[#found + 1] = { job = job, take = math.tointeger(take), kind = kind, source = source, stem = stem }
      end
    end
    return found
  end

  -- The newest landing of a comment that is in the playlist. `sources`: set of the ids in it.
  function takes.active(comment, sources)
    local landings = takes.comment2landings(comment)
    for i = #landings, 1, -1 do
      if sources[landings[i].source] then return landings[i] end
    end
  end

  function takes.name(landing)
    return landing.job .. "/take-" .. landing.take
  end

  local function overlaps(asked, selection)
    local first, last = verbs.span(asked)
    return not selection or (selection.start < last and selection.stop > first)
  end

  -- Takes that play on tracks {active = landing, selected}: {take, record, landing}, newest first.
  local function playing(tracks, book, wanted)
    local found, seen = {}, {}
    for _, track in ipairs(tracks) do
      local name = takes.name(track.active)
      local record = not seen[name] and wanted(track) and book:read(track.active.job)
      if record then
        seen[name] = true
        found[#found + 1] = { take = name, record = record, landing = track.active }
      end
    end
    table.sort(found, function(a, b)
      if a.record.number ~= b.record.number then return a.record.number > b.record.number end
      return a.landing.take > b.landing.take
    end)
    return found
  end

  local function with_active(tracks)
    local found, any_selected = {}, false
    for _, track in ipairs(tracks) do
      if track.active then
        found[#found + 1] = track
        any_selected = any_selected or track.selected
      end
    end
    if #found == 0 then
      error("The band has not played in this session yet. Use 'stembridge: Generate band' first.", 0)
    end
    return found, any_selected
  end

  -- The take to work on and the names of the stems that are meant (empty: all of them). `tracks`: the band's tracks;
  -- selected ones are meant, or all where none is. `selection` {start, stop} in beats or nil. Raises an error that says
  -- what to do.
  function takes.choose(tracks, book, selection)
    local heard, any_selected = with_active(tracks)
    local function is_meant(track) return track.selected or not any_selected end
    local newest
    for _, candidate in ipairs(playing(heard, book, is_meant)) do
      if overlaps(candidate.record.request, selection) then
        newest = candidate
        break
      end
    end
    if not newest then
      error("There is no take of the band in the time selection. Select bars of it, or nothing.", 0)
    end
    local family = book:root(newest.landing.job)
    local function is_kin(track) return book:root(track.active.job) == family end
    local stems, meant, seen = {}, {}, {}
    for _, track in ipairs(heard) do
      local record = book:read(track.active.job)
      if is_meant(track) and is_kin(track) and record and overlaps(record.request, selection) then
        meant[#meant + 1] = track
        if any_selected and not seen[track.active.stem] then
          stems[#stems + 1], seen[track.active.stem] = track.active.stem, true
        end
      end
    end
    -- Bars outside the selection stay as they are on the track: the take must have the same of each stem that is meant.
    for _, candidate in ipairs(playing(heard, book, is_kin)) do
      local same = overlaps(candidate.record.request, selection)
      for _, track in ipairs(meant) do
        same = same and book:origin(candidate.take, track.active.stem) == takes.name(track.active)
      end
      if same then return candidate.take, candidate.record, stems end
    end
    error("The tracks play parts of different takes. Select the tracks of one take.", 0)
  end

  -- The take that ends last: what a continuation goes on after.
  function takes.last(tracks, book)
    local heard, any_selected = with_active(tracks)
    local best, best_end
    for _, candidate in ipairs(playing(heard, book, function(track) return track.selected or not any_selected end)) do
      local _, last = verbs.span(candidate.record.request)
      if not best or last > best_end then best, best_end = candidate, last end
    end
    if not best then error("It is not known any more how the band's take was asked for. Generate a new one.", 0) end
    return best.take, best.record
  end

  return takes
end
