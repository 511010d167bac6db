-- A WAV file of 32-bit floats, written block by block. Plain Lua; visible under its name only when it is whole.

local wav = {}
wav.__index = wav

local HEAD_BYTES = 58
local MOST_BYTES = 0xFFFFFF00 -- a RIFF chunk counts with 32 bits

local function head(rate, channels, data_bytes)
  local frames = data_bytes // (4 * channels)
  return "RIFF" .. string.pack("<I4", HEAD_BYTES - 8 + data_bytes) .. "WAVE"
    .. "fmt " .. string.pack("<I4I2I2I4I4I2I2I2", 18, 3, channels, rate, rate * 4 * channels, 4 * channels, 32, 0)
    .. "fact" .. string.pack("<I4I4", 4, frames)
    .. "data" .. string.pack("<I4", data_bytes)
end

-- Opens `path` for writing at `rate` Hz. Raises an error with the reason.
function wav.create(path, rate, channels)
  local part = path .. ".part"
  local file, why = io.open(part, "wb")
  if not file then error(why, 0) end
  local self = setmetatable({ file = file, path = path, part = part, rate = rate, channels = channels, bytes = 0 }, wav)
  self:put(head(rate, channels, 0))
  self.bytes = 0
  return self
end

function wav:put(text)
  local ok, why = self.file:write(text)
  if not ok then
    self:drop()
    error(why, 0)
  end
  self.bytes = self.bytes + #text
end

-- Adds interleaved samples: a list of numbers, `channels` per frame.
function wav:add(samples)
  if self.bytes + 4 * #samples > MOST_BYTES then
    self:drop()
    error("The clip is too long for a WAV file.", 0)
  end
  self:put(string.pack("<" .. ("f"):rep(#samples), table.unpack(samples)))
end

-- Completes the file and gives it its name. Raises an error with the reason.
function wav:close()
  local bytes = self.bytes
  self.file:seek("set", 0)
  self:put(head(self.rate, self.channels, bytes))
  local ok, why = self.file:close()
  if ok then
    os.remove(self.path)
    ok, why = os.rename(self.part, self.path)
  end
  if not ok then
    os.remove(self.part)
    error(why, 0)
  end
end

-- Gives the unfinished file up.
function wav:drop()
  pcall(self.file.close, self.file)
  os.remove(self.part)
end

return wav
