-- Audio regions for the engine: as files of the session where a region plays the whole of one, else as cuttings in
-- <session>/stembridge/context. What Ardour does to the sound (gain, fades, plugins) is not in them.

return function(use)
  local json, request, wavfile = use("json"), use("request"), use("wavfile")
  local audio = {}

  local LONGEST_REFERENCE = 30 -- seconds
  local MOST_REFERENCES = 16
  local MOST_REGIONS = 60 -- context files of one request; the engine takes 128 tracks

  local SIDES = { [2] = { " left", " right" } }

  -- A region as a plain table: name, the paths of its channels (a file with all channels in it stands once), first
  -- sample in them, samples; whether that is the whole of them, and whether they lie in the session.
  function audio.describe(region)
    local paths, seen, within = {}, {}, true
    local start, count, whole = region:start():samples(), region:length():samples(), true
    for channel = 0, region:to_audioregion():n_channels() - 1 do
      local source = region:source(channel)
      local file = source:to_filesource()
      if file:isnil() then return nil end
      local path = file:path()
      if not seen[path] then
        seen[path] = true
        paths[#paths + 1] = path
        within = within and file:within_session()
        whole = whole and start == 0 and count == source:length():samples()
      end
    end
    return { name = region:name(), paths = paths, start = start, count = count, whole = whole, within = within }
  end

  local function skipped(raw, what, why)
    raw.remarks[#raw.remarks + 1] = string.format("The region '%s' was not sent: %s.", what, why)
  end

  -- A step that copies, and then adds the file with `add(path)`. What cannot be read is remarked upon.
  local function copying(raw, name, paths, start, count, rate, out, add)
    local step
    return function()
      step = step or wavfile.copying(paths, start, count, rate, out)
      local ok, more = pcall(step)
      if not ok then return skipped(raw, name, tostring(more)) end
      if more then return true end
      add(out)
    end
  end

  -- Steps that add the region to `raw.tracks`, a file for each channel. `span`: {first, last} sample of the sections;
  -- what lies outside is not copied. `sample2beat`: Ardour's own conversion.
  local function read_region(route, region, span, out, raw, steps, sample2beat)
    local clip = audio.describe(region)
    if not clip then return skipped(raw, region:name(), "it is no file") end
    local at = region:position():samples()
    local from, to = math.max(at, span[1]), math.min(at + clip.count, span[2])
    if to <= from then return end
    local plain = clip.whole and clip.within
    local start = sample2beat(plain and at or from)
    for channel, path in ipairs(clip.paths) do
      local side = (SIDES[#clip.paths] or {})[channel] or ""
      local function add(file)
        raw.tracks[#raw.tracks + 1] = { name = route:name() .. side, audio = file, start = start, use = "follow" }
      end
      if plain then
        add(path)
      else
        local file = string.format("%s-%d.wav", out, channel)
        local step = copying(raw, clip.name, { path }, clip.start + from - at, to - from, raw.rate, file, add)
        table.insert(steps, 2, step)
      end
    end
  end

  -- Steps for all audio regions that sound within the sections, but for those in `left_out` (ids).
  function audio.read_tracks(routes, job, folder, span, left_out, raw, steps, sample2beat)
    local number = 0
    for _, route in ipairs(routes) do
      for region in route:to_track():playlist():region_list():iter() do
        local sounds = not region:muted() and not region:to_audioregion():isnil()
        if sounds and not left_out[region:to_stateful():id():to_s()] then
          number = number + 1
          if number > MOST_REGIONS then
            raw.remarks[#raw.remarks + 1] =
              string.format("Of the audio regions only the first %d were sent.", MOST_REGIONS)
            return
          end
          local out = string.format("%s/context/%s-a%02d-%s", folder, job:sub(1, 8), number, request.name2file(route:name()))
          read_region(route, region, span, out, raw, steps, sample2beat)
        end
      end
    end
  end

  -- Steps that add the clips (see `audio.describe`) to `raw.references`. Two channels in two files become one file, for
  -- the width of a sound is part of it.
  function audio.read_references(clips, job, folder, raw, steps)
    for number, clip in ipairs(clips) do
      if number > MOST_REFERENCES then return end
      local seconds = math.min(clip.count / raw.rate, LONGEST_REFERENCE)
      local function add(path, from)
        raw.references[#raw.references + 1] = { audio = path, from_second = from, seconds = seconds }
      end
      if #clip.paths == 1 and clip.within then
        add(clip.paths[1], clip.start / raw.rate)
      else
        local count = math.floor(seconds * raw.rate)
        local name = string.format("%s-r%02d-%s.wav", job:sub(1, 8), number, request.name2file(clip.name))
        local out = folder .. "/context/" .. name
        local step = copying(raw, clip.name, clip.paths, clip.start, count, raw.rate, out, function(path) add(path, 0) end)
        table.insert(steps, 2, step)
      end
    end
  end

  -- The clips of the selected audio regions, and the set of their ids.
  function audio.selected()
    local clips, ids = json.array(), {}
    for region in Editor:get_selection().regions:regionlist():iter() do
      if not region:to_audioregion():isnil() then
        clips[#clips + 1] = audio.describe(region)
        ids[region:to_stateful():id():to_s()] = true
      end
    end
    return clips, ids
  end

  return audio
end
