-- Standard MIDI Files: notes as the bytes of one (type 0), because the DAWs' Lua has no export that leaves the user's
-- project alone; and the notes out of the engine's.

local smf = {}

smf.TICKS = 1920 -- per quarter note, as Ardour counts (REAPER: 960): no note is moved by rounding

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

-- The list in order, by merging, so that it can give way to `pause`; what is equal keeps its order.
function smf.sorted(list, before, pause)
  local width = 1
  while width < #list do
    local merged = {}
    for from = 1, #list, 2 * width do
      local left, right = from, from + width
      local middle, stop = math.min(right, #list + 1), math.min(from + 2 * width, #list + 1)
      while left < middle or right < stop do
        local take_right = right < stop and (left >= middle or before(list[right], list[left]))
        merged[#merged + 1] = list[take_right and right or left]
        if take_right then right = right + 1 else left = left + 1 end
        if pause then pause() end
      end
    end
    list, width = merged, 2 * width
  end
  return list
end

-- Bytes of a file that plays `notes`: tick (from the file's start), length in ticks, pitch, velocity, channel 0-15.
-- At one tick keys are released before others are struck, so that a repeated note is heard twice.
-- `pause`, where given, is called after each note: long work on a DAW's thread gives way in it.
function smf.notes2bytes(name, notes, pause)
  local events = {}
  for _, note in ipairs(notes) do
    local velocity = math.max(1, math.min(127, note.velocity))
    local last = note.tick + math.max(1, note.length)
    events[#events + 1] = { note.tick, 1, string.char(0x90 | note.channel, note.pitch, velocity) }
    events[#events + 1] = { last, 0, string.char(0x80 | note.channel, note.pitch, 0) }
    if pause then pause() end
  end
  events = smf.sorted(events, function(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    return a[2] < b[2]
  end, pause)
  local title = name:sub(1, 120)
  local track = { "\0\xFF\x03" .. smf.number2vlq(#title) .. title }
  local tick = 0
  for _, event in ipairs(events) do
    track[#track + 1] = smf.number2vlq(event[1] - tick) .. event[3]
    tick = event[1]
    if pause then pause() end
  end
  track[#track + 1] = "\0\xFF\x2F\0"
  local body = table.concat(track)
  return "MThd" .. string.pack(">I4I2I2I2", 6, 0, 1, smf.TICKS) .. "MTrk" .. string.pack(">I4", #body) .. body
end

local function read_vlq(bytes, at)
  local number = 0
  for _ = 1, 4 do
    local byte = bytes:byte(at)
    if not byte then break end
    number, at = number << 7 | byte & 0x7F, at + 1
    if byte < 0x80 then return number, at end
  end
  error("The MIDI file is damaged.", 0)
end

local DATA_BYTES = { [0x8] = 2, [0x9] = 2, [0xA] = 2, [0xB] = 2, [0xC] = 1, [0xD] = 1, [0xE] = 2 }

-- The notes of one track chunk, appended to `notes`.
local function read_track(bytes, at, stop, notes, pause)
  local tick, status, sounding = 0, nil, {}
  local function release(channel, pitch)
    local queue = sounding[channel << 7 | pitch]
    local note = queue and table.remove(queue, 1)
    if note then note.length = tick - note.tick end
  end
  while at < stop do
    local delta
    delta, at = read_vlq(bytes, at)
    tick = tick + delta
    local byte = bytes:byte(at)
    if byte >= 0x80 then status, at = byte, at + 1 end
    if status == 0xFF or status == 0xF0 or status == 0xF7 then
      local length
      length, at = read_vlq(bytes, status == 0xFF and at + 1 or at)
      at = at + length
    else
      local kind, channel = status and status >> 4, status and status & 0xF
      if not DATA_BYTES[kind] then error("The MIDI file is damaged.", 0) end
      local pitch, velocity = bytes:byte(at, at + 1)
      if kind == 0x9 and velocity > 0 then
        local note = { tick = tick, length = 0, pitch = pitch, velocity = velocity, channel = channel }
        local key = channel << 7 | pitch
        sounding[key] = sounding[key] or {}
        table.insert(sounding[key], note)
        notes[#notes + 1] = note
      elseif kind == 0x8 or kind == 0x9 then
        release(channel, pitch)
      end
      at = at + DATA_BYTES[kind]
      if pause then pause() end
    end
  end
end

-- Notes {tick, length, pitch, velocity, channel} of a file of any type, in the order of its tracks, and its ticks per
-- quarter note. Raises an error for what is no MIDI file. `pause` as above.
function smf.bytes2notes(bytes, pause)
  if #bytes < 14 or bytes:sub(1, 4) ~= "MThd" then error("This is no MIDI file.", 0) end
  local head, _, count, ticks = string.unpack(">I4I2I2I2", bytes, 5)
  if ticks == 0 or ticks >= 0x8000 then error("The MIDI file counts in frames, not in beats.", 0) end
  local notes, at = {}, 9 + head
  for _ = 1, count do
    if #bytes < at + 7 then error("The MIDI file is damaged.", 0) end
    local kind, length = string.unpack(">c4I4", bytes, at)
    local stop = at + 8 + length
    if #bytes < stop - 1 then error("The MIDI file is damaged.", 0) end
    if kind == "MTrk" then read_track(bytes, at + 8, stop, notes, pause) end
    at = stop
  end
  return notes, ticks
end

return smf
