-- Keys out of the user's markers. Pure: the markers come as tables {name, start} in beats.

local marks = {}

local MODES = {
  major = "major", maj = "major", dur = "major", ionian = "major", minor = "minor", min = "minor", moll = "minor",
  m = "minor", aeolian = "minor", dorian = "dorian", phrygian = "phrygian", lydian = "lydian",
  mixolydian = "mixolydian", locrian = "locrian",
}

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

return marks
