-- Notes as the bytes of a Standard MIDI File (type 0): Ardour's Lua has no export of MIDI regions that leaves the
-- session alone, so the context files are written here.

local smf = {}

smf.TICKS = 1920 -- per quarter note, as Ardour counts: no note is moved by rounding

-- A whole number as MIDI's variable-length quantity.
function smf.number2vlq(number)
  local bytes = string.char(number & 0x7F)
  number = number >> 7
  while number > 0 do
    bytes = string.char(0x80 | (number & 0x7F)) .. bytes
    number = number >> 7
  end
  return bytes
end

-- Bytes of a file that plays `notes`: tick (from the file's start), length in ticks, pitch, velocity, channel 0-15.
-- At one tick keys are released before others are struck, so that a repeated note is heard twice.
function smf.notes2bytes(name, notes)
  local events = {}
  for i, note in ipairs(notes) do
    local velocity = math.max(1, math.min(127, note.velocity))
    local last = note.tick + math.max(1, note.length)
    events[#events + 1] = { note.tick, 1, i, string.char(0x90 | note.channel, note.pitch, velocity) }
    events[#events + 1] = { last, 0, i, string.char(0x80 | note.channel, note.pitch, 0) }
  end
  table.sort(events, function(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    if a[2] ~= b[2] then return a[2] < b[2] end
    return a[3] < b[3]
  end)
  local title = name:sub(1, 120)
  local track = { "\0\xFF\x03" .. smf.number2vlq(#title) .. title }
  local tick = 0
  for _, event in ipairs(events) do
    track[#track + 1] = smf.number2vlq(event[1] - tick) .. event[4]
    tick = event[1]
  end
  track[#track + 1] = "\0\xFF\x2F\0"
  local body = table.concat(track)
  return "MThd" .. string.pack(">I4I2I2I2", 6, 0, 1, smf.TICKS) .. "MTrk" .. string.pack(">I4", #body) .. body
end

return smf
