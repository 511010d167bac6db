-- What of the project is stembridge's: its tracks, its takes, and which of them the user means.

return function(use)
  local projects, tags = use("projects"), use("tags")
  local own = {}

  local function track_tag(track)
    local ok, tag = reaper.GetSetMediaTrackInfo_String(track, tags.KEY, "", false)
    return ok and tags.read_track(tag) or nil
  end

  function own.take_tag(take)
    local ok, tag = reaper.GetSetMediaItemTakeInfo_String(take, tags.KEY, "", false)
    return ok and tags.read_landing(tag) or nil, ok and tag or ""
  end

  -- stembridge's tracks in order: {track, index, what, band, kind, stem}.
  function own.tracks(proj)
    local found = {}
    for i = 0, reaper.CountTracks(proj) - 1 do
      local track = reaper.GetTrack(proj, i)
      local tag = track_tag(track)
      if tag then
        tag.track, tag.index = track, i
        found[#found + 1] = tag
      end
    end
    return found
  end

  -- Set of the landing names in the project, and of the takes ("<job>/take-N") they belong to.
  function own.landed(proj)
    local names, takes = {}, {}
    for _, one in ipairs(own.tracks(proj)) do
      for i = 0, reaper.CountTrackMediaItems(one.track) - 1 do
        local item = reaper.GetTrackMediaItem(one.track, i)
        for t = 0, reaper.CountTakes(item) - 1 do
          local take = reaper.GetTake(item, t)
          local landing, name = nil, nil
          if take then landing, name = own.take_tag(take) end
          if landing then
            names[name] = true
            takes[string.format("%s/take-%d", landing.job, landing.take)] = true
          end
        end
      end
    end
    return names, takes
  end

  -- Of one of stembridge's selected items, the take that sounds.
  local function selected_take(proj)
    for i = 0, reaper.CountSelectedMediaItems(proj) - 1 do
      local take = reaper.GetActiveTake(reaper.GetSelectedMediaItem(proj, i))
      local landing = take and own.take_tag(take)
      if landing then return string.format("%s/take-%d", landing.job, landing.take) end
    end
    return nil
  end

  local function selected_band(proj)
    for i = 0, reaper.CountSelectedTracks(proj) - 1 do
      local tag = track_tag(reaper.GetSelectedTrack(proj, i))
      if tag then return tag.band end
    end
    return nil
  end

  -- The take that the user works on, {take, band}: that of a selected item, else the newest of the selected tracks'
  -- band, else the newest; only takes that are still on tracks count. nil where there is none.
  function own.current_take(proj)
    local takes = projects.takes(proj)
    local _, present = own.landed(proj)
    local wanted, band = selected_take(proj), selected_band(proj)
    local newest, of_band
    for _, one in ipairs(takes) do
      if present[one.take] then
        if one.take == wanted then return one end
        newest = one
        if one.band == band then of_band = one end
      end
    end
    return of_band or newest
  end

  -- Names of the stems whose tracks, or items, are selected; each once.
  function own.selected_stems(proj)
    local seen, found = {}, {}
    local function add(stem)
      if stem and not seen[stem] then
        seen[stem] = true
        found[#found + 1] = stem
      end
    end
    for i = 0, reaper.CountSelectedTracks(proj) - 1 do
      local tag = track_tag(reaper.GetSelectedTrack(proj, i))
      add(tag and tag.stem)
    end
    if #found > 0 then return found end
    for i = 0, reaper.CountSelectedMediaItems(proj) - 1 do
      local take = reaper.GetActiveTake(reaper.GetSelectedMediaItem(proj, i))
      local landing = take and own.take_tag(take)
      add(landing and landing.stem)
    end
    return found
  end

  return own
end
