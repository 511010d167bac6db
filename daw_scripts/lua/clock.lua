-- The DAW's tempo map as (beat, second) pairs, thinned without moving anything. Pure: the readings come from outside.
--
-- The engine takes time as linear in beats between two pairs and rounds to the nearest sample; Ardour rounds down.
-- So a pair is kept wherever the straight line would miss Ardour's own sample: the tempo changes, every quarter of a
-- beat inside a ramp, and those section borders that would fall on the neighbouring sample.

local clock = {}

clock.STEP = 0.25 -- beats between readings
local WITHIN = 1.0 -- samples: Ardour's rounding down, no bend

local function sample_on_line(a, b, beat)
  return a.sample + (beat - a.beat) * (b.sample - a.sample) / (b.beat - a.beat)
end

-- Whether the line from readings[first] to readings[last] passes every reading between them as Ardour would round it.
local function is_straight(readings, first, last)
  local a, b = readings[first], readings[last]
  for i = first + 1, last - 1 do
    if math.abs(sample_on_line(a, b, readings[i].beat) - readings[i].sample) > WITHIN then return false end
  end
  return true
end

-- Indices of the readings to keep between two tempo points: the ends where the stretch is straight, else all of them.
local function keep_stretch(readings, first, last, keep)
  keep[first], keep[last] = true, true
  if is_straight(readings, first, last) then return end
  for i = first, last do keep[i] = true end
end

-- Keeps the first reading that must be met exactly and that the kept ones miss; false when there is none left.
local function add_missed(readings, keep)
  local a, waiting = nil, {}
  for i, reading in ipairs(readings) do
    if keep[i] then
      for _, k in ipairs(waiting) do
        local sample = sample_on_line(readings[a], reading, readings[k].beat)
        if math.floor(sample + 0.5) ~= readings[k].sample then
          keep[k] = true
          return true
        end
      end
      a, waiting = i, {}
    elseif reading.exact then
      waiting[#waiting + 1] = i
    end
  end
  return false
end

-- Readings on the grid, sorted by beat, joined with `extras` (tempo points, borders; in any order), each beat once.
-- Extras outside the grid are left out.
function clock.join(grid, extras)
  table.sort(extras, function(a, b) return a.beat < b.beat end)
  local found, first, last, k = {}, grid[1].beat, grid[#grid].beat, 1
  local function add(reading)
    local known = found[#found]
    if known and known.beat == reading.beat then
      known.tempo, known.exact = known.tempo or reading.tempo, known.exact or reading.exact
    else
      found[#found + 1] = reading
    end
  end
  for _, reading in ipairs(grid) do
    while extras[k] and extras[k].beat <= reading.beat do
      if extras[k].beat >= first and extras[k].beat <= last then add(extras[k]) end
      k = k + 1
    end
    add(reading)
  end
  return found
end

-- Pairs {beat, second} from `readings` ({beat, sample, tempo = true where a tempo begins, exact = true where the
-- engine must meet the sample}), sorted by beat without doubles. `rate` in Hz.
function clock.readings2pairs(readings, rate)
  local keep, from = {}, 1
  for i = 2, #readings do
    if readings[i].tempo or i == #readings then
      keep_stretch(readings, from, i, keep)
      from = i
    end
  end
  while add_missed(readings, keep) do end
  local found = {}
  for i, reading in ipairs(readings) do
    if keep[i] then found[#found + 1] = { reading.beat, reading.sample / rate } end
  end
  return found
end

return clock
