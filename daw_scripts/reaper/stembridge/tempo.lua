-- The project's clock as (beat, second) pairs. Plain Lua: REAPER's own conversion comes in as functions.
--
-- The engine takes time as linear in beats between two pairs. So a steady stretch needs its two ends, a ramp a pair
-- every quarter of a beat, and a section border inside a ramp one of its own where the line would miss its sample.

local tempo = {}

tempo.STEP = 0.25 -- beats between pairs inside a ramp
local BEND = 1e-7 -- seconds; a stretch that stays closer to its line is straight
local GRID, ON_GRID = 3840, 1e-8 -- beats this close to a fine grid lie on it: conversions leave dust

-- A beat without the dust of floating-point conversion.
function tempo.clean(beat)
  local grid = math.floor(beat * GRID + 0.5) / GRID
  return math.abs(beat - grid) < ON_GRID and grid or beat
end

local function on_line(a, b, beat)
  return a[2] + (beat - a[1]) * ((b[2] - a[2]) / (b[1] - a[1]))
end

local function is_straight(a, b, beat2second)
  for quarter = 1, 3 do
    local beat = a[1] + (b[1] - a[1]) * quarter / 4
    if math.abs(on_line(a, b, beat) - beat2second(beat)) > BEND then return false end
  end
  return true
end

-- Beats at which the tempo may change, in order, each once, with both ends.
local function stops(first, last, changes)
  local found = { first }
  for _, beat in ipairs(changes) do
    if beat > found[#found] and beat < last then found[#found + 1] = beat end
  end
  found[#found + 1] = last
  return found
end

local function add_ramp(pairs_, a, b, beat2second, pause)
  local step = math.floor(a[1] / tempo.STEP) + 1
  while step * tempo.STEP < b[1] do
    local beat = step * tempo.STEP
    pairs_[#pairs_ + 1] = { beat, beat2second(beat) }
    step = step + 1
    pause()
  end
end

local function second2sample(second, rate) return math.floor(second * rate + 0.5) end

-- Adds pairs for borders whose sample the line misses; true when there was one.
local function add_missed(pairs_, borders, beat2second, rate, pause)
  local added, i, found = false, 1, { pairs_[1] }
  for k = 2, #pairs_ do
    local a, b = pairs_[k - 1], pairs_[k]
    while borders[i] and borders[i] < b[1] do
      local beat = borders[i]
      local second = beat2second(beat)
      local missed = beat > a[1] and second2sample(on_line(a, b, beat), rate) ~= second2sample(second, rate)
      if missed and beat > found[#found][1] then
        found[#found + 1] = { beat, second }
        added = true
      end
      i = i + 1
    end
    found[#found + 1] = b
    pause()
  end
  return added, found
end

-- Pairs {beat, second} from beat `first` to beat `last`. changes: beats of tempo points, rising; borders: beats that
-- the engine must meet on the sample, in any order; rate in Hz.
function tempo.pairs(first, last, changes, borders, rate, beat2second, pause)
  local found = {}
  local at = stops(first, last, changes)
  for i, beat in ipairs(at) do
    local here = { beat, beat2second(beat) }
    local before = found[#found]
    if before and not is_straight(before, here, beat2second) then add_ramp(found, before, here, beat2second, pause) end
    found[#found + 1] = here
    pause()
  end
  table.sort(borders)
  local added
  repeat
    added, found = add_missed(found, borders, beat2second, rate, pause)
  until not added
  return found
end

-- Metres {beat, beats, unit} in force from beat `first` to beat `last`, from the one at the start and the changes
-- {beat, beats, unit} of the tempo map, rising. A change begins a bar, so one that repeats the metre is kept as well.
function tempo.metres(first, last, start, changes)
  local found = { { beat = first, beats = start.beats, unit = start.unit } }
  for _, change in ipairs(changes) do
    if change.beat > found[#found].beat and change.beat < last then found[#found + 1] = change end
  end
  return found
end

return tempo
