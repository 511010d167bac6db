-- Keys as REAPER knows them: a root (0 is C) and a mask of twelve bits above it, from a KSIG event in a MIDI item or
-- from the key snap of the MIDI editor. Plain Lua.

local keys = {}

-- Bit n of a mask: the note n semitones above the root. Scales that a mode of ours holds are that mode.
local MODES = {
  [0xAB5] = "major", [0x295] = "major",
  [0x5AD] = "minor", [0x9AD] = "minor", [0xAAD] = "minor", [0x4A9] = "minor", [0x4E9] = "minor",
  [0x6AD] = "dorian", [0x5AB] = "phrygian", [0xAD5] = "lydian", [0x6B5] = "mixolydian", [0x56B] = "locrian",
}
local FLAT = { "C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B" }
local SHARP = { "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B" }
-- Semitones from a mode's tonic up to the tonic of the major key with its signature.
local RELATIVE = { major = 0, minor = 3, dorian = 10, phrygian = 8, lydian = 7, mixolydian = 5, locrian = 1 }
local FLAT_MAJORS = { [1] = true, [3] = true, [5] = true, [8] = true, [10] = true }

-- Tonic and mode, or nil for a scale that is none of the protocol's modes.
function keys.scale2key(root, mask)
  local mode = MODES[math.floor(mask)]
  if not mode then return nil end
  local tonic = math.floor(root) % 12
  local names = FLAT_MAJORS[(tonic + RELATIVE[mode]) % 12] and FLAT or SHARP
  return names[tonic + 1], mode
end

-- Tonic and mode of the text "KSIG root 9 dir -1 notes 0x5AD", or nil.
function keys.ksig2key(text)
  local root, mask = text:match("^KSIG root (%d+) .-notes 0x(%x+)")
  if not root then return nil end
  return keys.scale2key(tonumber(root), tonumber(mask, 16))
end

-- Keys {beat, tonic, mode} in order of time from the first of `lists` that says anything; what repeats the key before
-- it, or stands at its beat, is left out. A marker outranks an event, an event outranks an editor's setting.
function keys.choose(lists)
  for _, list in ipairs(lists) do
    if #list > 0 then
      table.sort(list, function(a, b) return a.beat < b.beat end)
      local chosen = {}
      for _, key in ipairs(list) do
        local last = chosen[#chosen]
        local same = last and (last.beat == key.beat or (last.tonic == key.tonic and last.mode == key.mode))
        if not same then chosen[#chosen + 1] = { beat = key.beat, tonic = key.tonic, mode = key.mode } end
      end
      return chosen
    end
  end
  return {}
end

return keys
