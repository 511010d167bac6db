-- The project's tempo map: tempo markers with steps and linear ramps, time signatures, measures.
--
-- A ramp's tempo is linear in time (REAPER's "gradual" tempo), so quarter notes are quadratic in time inside it.
-- Tempos are quarter notes per minute. A time signature begins a measure wherever it stands. Before the first marker and
-- before time 0 the first tempo goes on backwards.

return function(fake)
  local model, impl = fake.model, fake.api.impl
  local tempo = {}

  -- Segments: { time, qn, bpm, slope (bpm per second), num, den, signed }; the first begins at time 0.
  local cache = setmetatable({}, { __mode = "k" })

  local function key_of(points) return model.text(points) end

  local function qn_inside(segment, seconds) return (segment.bpm + segment.slope * seconds / 2) * seconds / 60 end

  local function segments_of(project)
    local points = project.state.tempo
    local key = key_of(points)
    local kept = cache[project]
    if kept and kept.key == key then return kept.segments end
    local segments = {}
    local num, den = 4, 4
    for i, point in ipairs(points) do
      local after, last = points[i + 1], segments[#segments]
      if point.num > 0 then num, den = point.num, point.den end
      local slope = 0.0
      if point.linear and after then slope = (after.bpm - point.bpm) / (after.time - point.time) end
      local qn = last and last.qn + qn_inside(last, point.time - last.time) or 0.0
      segments[#segments + 1] = {
        time = point.time, qn = qn, bpm = point.bpm, slope = slope, num = num, den = den, signed = point.num > 0,
      }
    end
    cache[project] = { key = key, segments = segments }
    return segments
  end

  local function segment_at(segments, field, value)
    local low, high = 1, #segments
    while low < high do
      local middle = (low + high + 1) // 2
      if segments[middle][field] <= value then low = middle else high = middle - 1 end
    end
    return segments[low]
  end

  function tempo.time2qn(project, time)
    local segment = segment_at(segments_of(project), "time", time)
    local seconds = time - segment.time
    if seconds < 0 then return segment.qn + seconds * segment.bpm / 60 end
    return segment.qn + qn_inside(segment, seconds)
  end

  function tempo.qn2time(project, qn)
    local segment = segment_at(segments_of(project), "qn", qn)
    local beats = qn - segment.qn
    if beats <= 0 or segment.slope == 0 then return segment.time + beats * 60 / segment.bpm end
    local root = math.sqrt(segment.bpm * segment.bpm + 120 * segment.slope * beats)
    return segment.time + 120 * beats / (segment.bpm + root)
  end

  function tempo.bpm_at(project, time)
    local segment = segment_at(segments_of(project), "time", time)
    return segment.bpm + segment.slope * math.max(0, time - segment.time)
  end

  -- Measures: runs of equal bars, each { qn, num, den, first (0-based measure) }.
  local function runs_of(project)
    local runs = {}
    for _, segment in ipairs(segments_of(project)) do
      if segment.signed then
        local last = runs[#runs]
        local first = 0
        if last then first = last.first + math.ceil((segment.qn - last.qn) / (last.num * 4 / last.den) - 1e-9) end
        runs[#runs + 1] = { qn = segment.qn, num = segment.num, den = segment.den, first = first }
      end
    end
    return runs
  end

  -- Where a measure begins and ends in quarter notes, and its time signature; a cut measure ends early.
  function tempo.measure(project, number)
    local runs = runs_of(project)
    local at = 1
    while runs[at + 1] and runs[at + 1].first <= number do at = at + 1 end
    local run, after = runs[at], runs[at + 1]
    local length = run.num * 4 / run.den
    local start = run.qn + (number - run.first) * length
    local stop = start + length
    if after and after.qn < stop then stop = after.qn end
    return start, stop, run.num, run.den
  end

  function tempo.measure_at(project, qn)
    local runs = runs_of(project)
    local at = 1
    while runs[at + 1] and runs[at + 1].qn <= qn + 1e-9 do at = at + 1 end
    local run = runs[at]
    return run.first + math.floor((qn - run.qn) / (run.num * 4 / run.den) + 1e-9)
  end

  -- Quarter notes by which a count of whole measures is ahead: what time signatures have cut off before `qn`. The
  -- functions without "_abs" count so.
  function tempo.skipped(project, qn)
    local ahead, runs = 0.0, runs_of(project)
    for i = 2, #runs do
      local run, last = runs[i], runs[i - 1]
      if run.qn > qn + 1e-9 then break end
      ahead = ahead + (run.first - last.first) * last.num * 4 / last.den - (run.qn - last.qn)
    end
    return ahead
  end

  function tempo.counted2qn(project, counted)
    local ahead, runs = 0.0, runs_of(project)
    for i = 2, #runs do
      local more = tempo.skipped(project, runs[i].qn)
      if counted < runs[i].qn + more then return math.min(counted - ahead, runs[i].qn) end
      ahead = more
    end
    return counted - ahead
  end

  -- The functions ----------------------------------------------------------------------------------------------------

  function impl.TimeMap_timeToQN_abs(project, time) return tempo.time2qn(project, time) end

  function impl.TimeMap_QNToTime_abs(project, qn) return tempo.qn2time(project, qn) end

  function impl.TimeMap2_timeToQN(project, time)
    local qn = tempo.time2qn(project, time)
    return qn + tempo.skipped(project, qn)
  end

  function impl.TimeMap2_QNToTime(project, counted) return tempo.qn2time(project, tempo.counted2qn(project, counted)) end

  function impl.TimeMap2_timeToBeats(project, time)
    local qn = tempo.time2qn(project, time)
    local number = tempo.measure_at(project, qn)
    local start, _, num, den = tempo.measure(project, number)
    local full = 0.0
    local runs = runs_of(project)
    for i, run in ipairs(runs) do
      local stop = runs[i + 1] and math.min(runs[i + 1].qn, qn) or qn
      if stop > run.qn or i == 1 then full = full + (stop - run.qn) * run.den / 4 end
    end
    return (qn - start) * den / 4, number, num, full, den
  end

  function impl.TimeMap_GetMeasureInfo(project, number)
    local start, stop, num, den = tempo.measure(project, number)
    local time = tempo.qn2time(project, start)
    return time, start, stop, num, den, tempo.bpm_at(project, time)
  end

  function impl.TimeMap_GetTimeSigAtTime(project, time)
    local number = tempo.measure_at(project, tempo.time2qn(project, time))
    local _, _, num, den = tempo.measure(project, number)
    return num, den, tempo.bpm_at(project, time)
  end

  -- Tempo markers that the user sees: the project's own tempo at time 0 is none of them.
  local function markers_of(project)
    local found = {}
    for _, point in ipairs(project.state.tempo) do
      if not point.base then found[#found + 1] = point end
    end
    return found
  end

  function impl.CountTempoTimeSigMarkers(project) return #markers_of(project) end

  function impl.GetTempoTimeSigMarker(project, index)
    local point = markers_of(project)[index + 1]
    if not point then return false, 0.0, 0, 0.0, 0.0, 0, 0, false end
    local qn = tempo.time2qn(project, point.time)
    local number = tempo.measure_at(project, qn)
    local start, _, _, den = tempo.measure(project, number)
    return true, point.time, number, (qn - start) * den / 4, point.bpm, point.num, point.den, point.linear
  end

  return tempo
end
