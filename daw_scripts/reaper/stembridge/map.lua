-- REAPER's tempo map, regions, markers and time selection, read through its own functions; nothing is changed.
-- Beats are REAPER's quarter notes from the project's start, counted through partial bars ("abs"): those never jump.
-- Seconds count from the project's left edge; the project's start offset only changes what the ruler shows.

return function(use)
  local tempo = use("tempo")
  local map = {}

  local function whole(number) return math.floor(number + 0.5) end

  function map.second2beat(proj, second) return tempo.clean(reaper.TimeMap_timeToQN_abs(proj, second)) end

  function map.beat2second(proj, beat) return reaper.TimeMap_QNToTime_abs(proj, beat) end

  -- The sample rate that the project runs at.
  function map.sample_rate(proj)
    if reaper.GetSetProjectInfo(proj, "PROJECT_SRATE_USE", 0, false) > 0.5 then
      return whole(reaper.GetSetProjectInfo(proj, "PROJECT_SRATE", 0, false))
    end
    local known, text = reaper.GetAudioDeviceInfo("SRATE", "")
    local rate = known and tonumber(text)
    return rate and rate > 0 and whole(rate) or whole(reaper.GetSetProjectInfo(proj, "PROJECT_SRATE", 0, false))
  end

  -- Beats of all tempo points, and the metres {beat, beats, unit} that begin at some of them.
  local function read_points(proj, pause)
    local beats, metres = {}, {}
    for i = 0, reaper.CountTempoTimeSigMarkers(proj) - 1 do
      local ok, second, _, _, _, num, denom = reaper.GetTempoTimeSigMarker(proj, i)
      if ok then
        local beat = map.second2beat(proj, second)
        beats[#beats + 1] = beat
        if num > 0.5 and denom > 0.5 then
          metres[#metres + 1] = { beat = beat, beats = whole(num), unit = whole(denom) }
        end
      end
      pause()
    end
    return beats, metres
  end

  -- Clock pairs and metres from the project's start to beat `last`; `borders` are met on the sample.
  function map.clock(proj, last, borders, pause)
    local first = map.second2beat(proj, 0)
    local changes, metres = read_points(proj, pause)
    local num, denom = reaper.TimeMap_GetTimeSigAtTime(proj, 0)
    local function beat2second(beat) return beat == first and 0 or reaper.TimeMap_QNToTime_abs(proj, beat) end
    local found = tempo.pairs(first, last, changes, borders, map.sample_rate(proj), beat2second, pause)
    return found, tempo.metres(first, last, { beats = whole(num), unit = whole(denom) }, metres)
  end

  -- The API since REAPER 7.62.
  local function each_new(proj, add, pause)
    for i = 0, reaper.GetNumRegionsOrMarkers(proj) - 1 do
      local mark = reaper.GetRegionOrMarker(proj, i, "")
      if mark then
        local _, name = reaper.GetSetRegionOrMarkerInfo_String(proj, mark, "P_NAME", "", false)
        local is_region = reaper.GetRegionOrMarkerInfo_Value(proj, mark, "B_ISREGION") > 0.5
        local start = reaper.GetRegionOrMarkerInfo_Value(proj, mark, "D_STARTPOS")
        add(is_region, name or "", start, is_region and reaper.GetRegionOrMarkerInfo_Value(proj, mark, "D_ENDPOS"))
      end
      pause()
    end
  end

  local function each_old(proj, add, pause)
    local count = reaper.CountProjectMarkers(proj)
    for i = 0, count - 1 do
      local found, is_region, start, stop, name = reaper.EnumProjectMarkers3(proj, i)
      if found and found ~= 0 then add(is_region, name or "", start, stop) end
      pause()
    end
  end

  -- Regions {name, start, stop} and markers {name, start}, in beats.
  function map.regions(proj, pause)
    local regions, markers = {}, {}
    local function add(is_region, name, start, stop)
      local from = map.second2beat(proj, start)
      if is_region then
        regions[#regions + 1] = { name = name, start = from, stop = map.second2beat(proj, stop) }
      else
        markers[#markers + 1] = { name = name, start = from }
      end
    end
    local modern = reaper.APIExists("GetRegionOrMarker") and reaper.APIExists("GetNumRegionsOrMarkers")
    if modern then each_new(proj, add, pause) else each_old(proj, add, pause) end
    return regions, markers
  end

  -- The time selection {start, stop} in beats, or nil.
  function map.selection(proj)
    local start, stop = reaper.GetSet_LoopTimeRange2(proj, false, false, 0, 0, false)
    if stop <= start then return nil end
    return { start = map.second2beat(proj, start), stop = map.second2beat(proj, stop) }
  end

  function map.song_end(proj) return map.second2beat(proj, reaper.GetProjectLength(proj)) end

  return map
end
