-- Which takes play on the band's tracks, and which of them a wish is about. Plain Lua; the tracks come as tables.
--
-- A track of the band is known by its comment: one line for each stem that landed on it,
--   stembridge <job> take-<n> <audio or midi> #<id of the source> <stem>
-- What plays are the lines whose source is in the playlist: the user may have chosen an older playlist again.

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

  -- The landings of a comment that are in the playlist. `sources`: set of the ids in it.
  function takes.playing(comment, sources)
    local found = {}
    for _, landing in ipairs(takes.comment2landings(comment)) do
      if sources[landing.source] then found[#found + 1] = landing end
    end
    return found
  end

  function takes.name(landing)
    return landing.job .. "/take-" .. landing.take
  end

  local function overlaps(asked, selection)
    local first, last = verbs.span(asked)
    return not selection or (selection.start < last and selection.stop > first)
  end

  local function has_span(asked, other)
    local first, last = verbs.span(asked)
    local other_first, other_last = verbs.span(other)
    return first == other_first and last == other_last
  end

  -- The different takes among `heard`, newest first: {take, record, landing}.
  local function newest_first(heard, book)
    local found, seen = {}, {}
    for _, item in ipairs(heard) do
      local name = takes.name(item.landing)
      local record = not seen[name] and book:read(item.landing.job)
      seen[name] = true
      if record then found[#found + 1] = { take = name, record = record, landing = item.landing } end
    end
    table.sort(found, function(a, b)
      if a.record.number ~= b.record.number then return a.record.number > b.record.number end
      return a.landing.take > b.landing.take
    end)
    return found
  end

  local function only(list, wanted)
    local found = {}
    for _, item in ipairs(list) do
      if wanted(item) then found[#found + 1] = item end
    end
    return found
  end

  -- What is meant of what plays: that on selected tracks, or all where none is; and whether any is selected.
  local function meant(heard)
    if #heard == 0 then
      error("The band has not played in this session yet. Use 'stembridge: Generate band' first.", 0)
    end
    local selected = only(heard, function(item) return item.selected end)
    return #selected > 0 and selected or heard, #selected > 0
  end

  -- The take to work on, what was asked for it, and the names of the stems that are meant (empty: all of them).
  -- `heard`: what plays on the band's tracks, {landing, selected}. `selection` {start, stop} in beats or nil. Raises an
  -- error that says what to do.
  function takes.choose(heard, book, selection)
    local chosen, any_selected = meant(heard)
    local newest = only(newest_first(chosen, book), function(item) return overlaps(item.record.request, selection) end)[1]
    if not newest then
      error("There is no take of the band in the time selection. Select bars of it, or nothing.", 0)
    end
    -- Takes that follow from each other and cover the same bars.
    local family = book:root(newest.landing.job)
    local function is_kin(item)
      local record = book:read(item.landing.job)
      return record and book:root(item.landing.job) == family and has_span(record.request, newest.record.request)
    end
    chosen = only(chosen, is_kin)
    local stems, seen = {}, {}
    for _, item in ipairs(chosen) do
      local stem = item.landing.stem
      if any_selected and not seen[stem] then stems[#stems + 1], seen[stem] = stem, true end
    end
    -- Bars outside the selection stay as they are on the tracks, so the take must have the same of what is meant.
    for _, candidate in ipairs(newest_first(only(heard, is_kin), book)) do
      local others = only(chosen, function(item)
        return book:origin(candidate.take, item.landing.stem) ~= takes.name(item.landing)
      end)
      if #others == 0 then return candidate.take, candidate.record, stems end
    end
    error("The tracks play parts of different takes. Select the tracks of one take.", 0)
  end

  -- The take that ends last: what a continuation goes on after.
  function takes.last(heard, book)
    local best, best_end
    for _, candidate in ipairs(newest_first((meant(heard)), book)) do
      local _, last = verbs.span(candidate.record.request)
      if not best or last > best_end then best, best_end = candidate, last end
    end
    if not best then error("It is not known any more how the band's take was asked for. Generate a new one.", 0) end
    return best.take, best.record
  end

  return takes
end
