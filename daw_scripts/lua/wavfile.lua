-- Pieces of WAV files as they stand, byte for byte, copied in small steps. Plain Lua.

local wavfile = {}

local PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
local UNKNOWN = 0xFFFFFFFF -- RF64: the size stands in the ds64 chunk
local FRAMES_A_STEP = 4096
local AT_ONCE = 64 -- frames that are unpacked in one call

local function read_format(text)
  local kind, channels, rate, _, block, bits = string.unpack("<I2I2I4I4I2I2", text)
  if kind == EXTENSIBLE and #text >= 26 then kind = string.unpack("<I2", text, 25) end
  return { kind = kind, channels = channels, rate = rate, block = block, bits = bits }
end

-- Layout of an open WAV or RF64 file: kind, channels, rate (Hz), bits, block (bytes a frame), at (byte of the first
-- frame), frames. Or nil for what is no such file.
function wavfile.layout(file)
  local bytes = file:seek("end")
  file:seek("set", 0)
  local head = file:read(12)
  if not head or #head < 12 or head:sub(9) ~= "WAVE" then return nil end
  if head:sub(1, 4) ~= "RIFF" and head:sub(1, 4) ~= "RF64" then return nil end
  local found, long = nil, nil
  while true do
    local mark = file:read(8)
    if not mark or #mark < 8 then return nil end
    local tag, size = mark:sub(1, 4), string.unpack("<I4", mark, 5)
    local at = file:seek()
    if tag == "ds64" then
      local text = file:read(16)
      if not text or #text < 16 then return nil end
      long = string.unpack("<I8", text, 9)
    elseif tag == "fmt " then
      local text = file:read(math.min(size, 40))
      if not text or #text < 16 then return nil end
      found = read_format(text)
    elseif tag == "data" then
      if not found or found.block < 1 or (found.kind ~= PCM and found.kind ~= FLOAT) then return nil end
      if size == UNKNOWN and long then size = long end
      found.at, found.frames = at, math.min(size, bytes - at) // found.block
      return found
    end
    file:seek("set", at + size + size % 2)
  end
end

local function head(kind, channels, rate, bits, frames)
  local block = channels * bits // 8
  local data = frames * block
  return "RIFF" .. string.pack("<I4", 50 + data + data % 2) .. "WAVE"
    .. "fmt " .. string.pack("<I4I2I2I4I4I2I2I2", 18, kind, channels, rate, rate * block, block, bits, 0)
    .. "fact" .. string.pack("<I4I4", 4, frames) .. "data" .. string.pack("<I4", data)
end

-- Frames of several mono texts beside each other. `size`: bytes of a sample.
local function interleave(texts, size)
  local out, frames = {}, #texts[1] // size
  for first = 0, frames - 1, AT_ONCE do
    local count = math.min(AT_ONCE, frames - first)
    local form, mixed = ("c" .. size):rep(count), {}
    for channel, text in ipairs(texts) do
      local samples = { form:unpack(text, first * size + 1) }
      for i = 1, count do mixed[(i - 1) * #texts + channel] = samples[i] end
    end
    out[#out + 1] = table.concat(mixed)
  end
  return table.concat(out)
end

local function open_all(paths)
  local files = {}
  for i, path in ipairs(paths) do
    local file = io.open(path, "rb")
    local layout = file and wavfile.layout(file)
    if not layout or (#paths > 1 and layout.channels > 1) then
      for _, open in ipairs(files) do open.file:close() end
      if file then file:close() end
      error((path:match("[^/\\]+$") or path) .. " is no WAV file", 0)
    end
    files[i] = { file = file, layout = layout }
  end
  return files
end

-- A step (a function that returns true while it wants to be called again) that writes frames `start` to
-- `start + count` of `paths` to `out`: one file as it stands, or several mono files as channels of one. `rate`: Hz in
-- which start and count are given. The file appears whole or not at all. Raises an error with the reason.
function wavfile.copying(paths, start, count, rate, out)
  local files, part, target, left

  local function begin()
    files = open_all(paths)
    local layout = files[1].layout
    local first = start * layout.rate // rate
    left = count * layout.rate // rate
    for _, open in ipairs(files) do
      left = math.min(left, open.layout.frames - first)
      open.file:seek("set", open.layout.at + first * open.layout.block)
    end
    if left < 1 then error("nothing of it is in " .. paths[1], 0) end
    part = out:gsub("[^/\\]+$", ".%0.part")
    local why
    target, why = io.open(part, "wb")
    if not target then error(why, 0) end
    local channels = #files > 1 and #files or layout.channels
    assert(target:write(head(layout.kind, channels, layout.rate, layout.bits, left)))
  end

  local function finish()
    for _, open in ipairs(files) do open.file:close() end
    local closed, why = target:close()
    if closed then
      os.remove(out)
      closed, why = os.rename(part, out)
    end
    if not closed then error(why, 0) end
  end

  return function()
    if not files then begin() end
    local frames, texts = math.min(left, FRAMES_A_STEP), {}
    for i, open in ipairs(files) do
      texts[i] = open.file:read(frames * open.layout.block)
      if not texts[i] or #texts[i] < frames * open.layout.block then error(paths[i] .. " cannot be read", 0) end
    end
    local text = #texts == 1 and texts[1] or interleave(texts, files[1].layout.block)
    local written, why = target:write(text)
    if not written then error(why, 0) end
    left = left - frames
    if left > 0 then return true end
    finish()
    return false
  end
end

return wavfile
