-- From regions, markers and the time selection to sections. Plain Lua; all positions are beats.

local sections = {}

local NEAR = 1e-6 -- the engine's own tolerance
local SHORTEST = 0.05 -- beats; a thinner sliver at the edge of a selection is an accident
local LONGEST_NAME = 200 -- letters, as the engine takes them
local LONGEST_WORDS = 2000

-- What the DAW calls a named stretch of time, and what to tell a user who has made none.
sections.TERMS = {
  one = "region", many = "regions",
  nothing = "Nothing is marked. Make a region for each section (select its time, then Shift+R) and name it "
    .. "(Intro, Verse 1, Chorus), or make a time selection to work on.",
}

-- The first `most` letters of a UTF-8 text; of a text that is not UTF-8, the first `most` bytes without its odd ones.
function sections.shorten(text, most)
  if not utf8.len(text) then text = text:gsub("[\128-\255]", "?") end
  local stop = utf8.offset(text, most + 1)
  return stop and text:sub(1, stop - 1) or text
end

local function named(name, number, stretch, name2label)
  local title, words = name:match("^%s*(.-)%s*:%s*(.-)%s*$")
  title = title or name:match("^%s*(.-)%s*$")
  if title == "" then title = "Section " .. number end
  return {
    name = sections.shorten(title, LONGEST_NAME), label = (name2label(title)), start = stretch.start,
    ["end"] = stretch.stop, words = sections.shorten(words or "", LONGEST_WORDS),
  }
end

-- A region around others (the whole song, an album's track) is no section of its own. Sorts `regions`.
local function without_umbrellas(regions)
  table.sort(regions, function(a, b)
    if a.start ~= b.start then return a.start < b.start end
    return a.stop > b.stop
  end)
  local found = {}
  for i, region in ipairs(regions) do
    local encloses_any, k = false, i + 1
    while not encloses_any and regions[k] and regions[k].start < region.stop - NEAR do
      local shorter = regions[k].stop - regions[k].start < region.stop - region.start - NEAR
      encloses_any = shorter and regions[k].stop <= region.stop + NEAR
      k = k + 1
    end
    if not encloses_any then found[#found + 1] = region end
  end
  return found
end

local function clip(regions, selection)
  local found = {}
  for _, region in ipairs(regions) do
    local start = math.max(region.start, selection.start)
    local stop = math.min(region.stop, selection.stop)
    if stop - start > SHORTEST then found[#found + 1] = { name = region.name, start = start, stop = stop } end
  end
  return found
end

-- Where there is no region, the stretches between markers; the last one ends with the song.
local function between(markers, song_end)
  local found = {}
  for i, marker in ipairs(markers) do
    local stop = markers[i + 1] and markers[i + 1].start or song_end
    if stop > marker.start + SHORTEST then
      found[#found + 1] = { name = marker.name, start = marker.start, stop = stop }
    end
  end
  return found
end

local function by_start(a, b) return a.start < b.start end

-- Sections {name, label, start, end, words} in order of time.
-- regions {name, start, stop}; markers {name, start}; selection {start, stop} or nil: regions are clipped to it, and a
-- selection that meets no region is a section of its own. `terms` as `sections.TERMS`, which is the default; `pause`,
-- where given, is called after each section. Raises an error that says what to do.
function sections.make(regions, markers, selection, song_end, name2label, terms, pause)
  terms = terms or sections.TERMS
  local found = without_umbrellas(regions)
  if #regions == 0 then
    table.sort(markers, by_start)
    found = between(markers, song_end)
  end
  if selection then
    found = clip(found, selection)
    if #found == 0 then found = { { name = "Selection", start = selection.start, stop = selection.stop } } end
  end
  if #found == 0 then error(terms.nothing, 0) end
  table.sort(found, by_start)
  local made = {}
  for i, region in ipairs(found) do
    local before = found[i - 1]
    if before and region.start < before.stop - NEAR then
      error(string.format("The %s '%s' and '%s' overlap. Sections follow each other: move one of them, or select "
        .. "the time to work on.", terms.many, before.name, region.name), 0)
    end
    if region.stop <= region.start + NEAR then
      error(string.format("The %s '%s' is empty.", terms.one, region.name), 0)
    end
    made[i] = named(region.name, i, region, name2label)
    if pause then pause() end
  end
  return made
end

-- The section that goes on after `take_end`: up to the end of the selection that reaches beyond it, else of the region
-- that begins or lies there, else as long as `length` beats but not into the next region.
function sections.after(take_end, regions, selection, length, last, name2label)
  if selection and selection.start <= take_end + SHORTEST and selection.stop > take_end + SHORTEST then
    return named(last.name, 1, { start = take_end, stop = selection.stop }, name2label)
  end
  local stop, next_start = nil, math.huge
  for _, region in ipairs(without_umbrellas(regions)) do
    if region.stop > take_end + SHORTEST then
      if region.start <= take_end + SHORTEST then
        stop = { name = region.name, start = take_end, stop = region.stop }
      elseif region.start < next_start then
        next_start = region.start
      end
    end
  end
  stop = stop or { name = last.name, start = take_end, stop = math.min(take_end + length, next_start) }
  local made = named(stop.name, 1, stop, name2label)
  if stop.name == last.name then made.label = last.label or made.label end
  return made
end

return sections
