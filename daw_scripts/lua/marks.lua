-- What the user's ranges and markers mean: sections, keys. Pure: they come as tables {name, start, stop} in beats.

local marks = {}

local MODES = {
  major = "major", maj = "major", dur = "major", ionian = "major", minor = "minor", min = "minor", moll = "minor",
  m = "minor", aeolian = "minor", dorian = "dorian", phrygian = "phrygian", lydian = "lydian",
  mixolydian = "mixolydian", locrian = "locrian",
}
local NEAR = 1e-6 -- beats; the engine's own tolerance for ranges that touch

-- "Am", "F# dorian", "Bb major", "C" as tonic and mode, or nil.
function marks.text2key(text)
  local letter, accidental, rest = text:match("^%s*([A-Ga-g])([#b]?)%s*(.-)%s*$")
  if not letter then return nil end
  local tonic, mode = letter:upper() .. accidental, "major"
  if rest == "M" then rest = "major" end
  if rest ~= "" then mode = MODES[rest:lower()] end
  if not mode then return nil end
  return tonic, mode
end

-- Keys {beat, tonic, mode} from the marks called `key=...`, and the location marks that are left over.
-- Raises an error that names a key mark which cannot be read.
function marks.marks2keys(list)
  local keys, others = {}, {}
  for _, mark in ipairs(list) do
    local text = mark.name:match("^%s*[Kk][Ee][Yy]%s*[=:]%s*(.-)%s*$")
    if text then
      local tonic, mode = marks.text2key(text)
      if not tonic then
        error("The marker '" .. mark.name .. "' names no key. Write it like key=Am, key=F# or key=D dorian.", 0)
      end
      keys[#keys + 1] = { beat = mark.start, tonic = tonic, mode = mode }
    else
      others[#others + 1] = mark
    end
  end
  table.sort(keys, function(a, b) return a.beat < b.beat end)
  for i = 2, #keys do
    if keys[i].beat <= keys[i - 1].beat then
      error(string.format("Two key markers stand at beat %g. Remove one of them.", keys[i].beat), 0)
    end
  end
  return keys, others
end

-- Ranges, or where there is none the stretches between location marks (the last one ends at `song_end`).
local function stretches(ranges, locations, song_end)
  if #ranges > 0 then return ranges end
  table.sort(locations, function(a, b) return a.start < b.start end)
  local found = {}
  for i, mark in ipairs(locations) do
    local stop = locations[i + 1] and locations[i + 1].start or song_end
    if stop > mark.start + NEAR then found[#found + 1] = { name = mark.name, start = mark.start, stop = stop } end
  end
  return found
end

-- Sections in order of time. A range called "Verse 1: brushed drums" is the section "Verse 1" with these words.
-- `name2label` guesses labels. Raises an error that says what to do when nothing is marked or ranges overlap.
function marks.ranges2sections(ranges, locations, song_end, name2label)
  local found = stretches(ranges, locations, song_end)
  if #found == 0 then
    error("Nothing is marked. Make a range for every section (Intro, Verse 1, Chorus ...): drag in the Range Markers "
      .. "ruler, then rename it.", 0)
  end
  table.sort(found, function(a, b) return a.start < b.start end)
  local sections = {}
  for i, range in ipairs(found) do
    local before = found[i - 1]
    if before and range.start < before.stop - NEAR then
      error(string.format("The ranges '%s' and '%s' overlap. Sections follow each other; hide or move one of them.",
        before.name, range.name), 0)
    end
    if range.stop <= range.start + NEAR then error(string.format("The range '%s' is empty.", range.name), 0) end
    local name, words = range.name:match("^%s*(.-)%s*:%s*(.-)%s*$")
    name = name or range.name:match("^%s*(.-)%s*$")
    if name == "" then name = "Section " .. i end
    local label = name2label(name)
    sections[i] = { name = name, label = label, start = range.start, ["end"] = range.stop, words = words or "" }
  end
  return sections
end

return marks
