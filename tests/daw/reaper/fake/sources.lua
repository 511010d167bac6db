-- Media sources, read from real files; the accessor that plays a take; REAPER's number arrays.
--
-- A source belongs to nobody until it is set into a take. The accessor gives what the take sounds like: source offset,
-- play rate, volume, and the gain that stands for its enabled effects; times are seconds from the item's start.

return function(fake)
  local model, impl = fake.model, fake.api.impl
  local pointer = fake.api.pointer

  -- WAV files --------------------------------------------------------------------------------------------------------

  -- Header of a RIFF WAVE file: rate, channels, bits, format, where its samples begin, frames. Nil when it is none.
  local function read_header(path)
    local file = fake.open(path, "rb")
    if not file then return nil end
    local head = file:read(12)
    local found = nil
    if head and #head == 12 and head:sub(1, 4) == "RIFF" and head:sub(9, 12) == "WAVE" then
      local format
      while true do
        local chunk = file:read(8)
        if not chunk or #chunk < 8 then break end
        local name, size = string.unpack("<c4I4", chunk)
        if name == "fmt " then
          local body = file:read(size)
          if not body or #body < 16 then break end
          local code, channels, rate, _, block, bits = string.unpack("<I2I2I4I4I2I2", body)
          if code == 0xFFFE and #body >= 26 then code = string.unpack("<I2", body, 25) end
          format = { code = code, channels = channels, rate = rate, block = block, bits = bits }
        elseif name == "data" then
          if not format then break end
          local start = file:seek()
          local there = file:seek("end") - start
          found = format
          found.start, found.frames = start, math.min(size, there) // format.block
          break
        else
          file:seek("cur", size + size % 2)
        end
      end
    end
    file:close()
    if found and not (found.code == 1 and (found.bits == 16 or found.bits == 24) or found.code == 3 and found.bits == 32) then
      return nil
    end
    return found
  end

  local function samples_of(header, bytes)
    local out, count = {}, #bytes // (header.bits // 8)
    if header.code == 3 then
      for i = 1, count do out[i] = string.unpack("<f", bytes, i * 4 - 3) end
    elseif header.bits == 16 then
      for i = 1, count do out[i] = string.unpack("<i2", bytes, i * 2 - 1) / 32768 end
    else
      for i = 1, count do out[i] = string.unpack("<i3", bytes, i * 3 - 2) / 8388608 end
    end
    return out
  end

  -- A source of a file, or nil where there is none or it cannot be read.
  function fake.file_source(path)
    if path:lower():match("%.mid$") then
      local file = fake.open(path, "rb")
      if not file then return nil end
      file:close()
      return { kind = "MIDI", file = path, length = 0.0, events = {}, sorted = true }
    end
    local header = read_header(path)
    if not header then return nil end
    return {
      kind = "WAVE", file = path, rate = header.rate, channels = header.channels, length = header.frames / header.rate,
    }
  end

  -- Sources ----------------------------------------------------------------------------------------------------------

  function impl.PCM_Source_CreateFromFile(path)
    local source = fake.file_source(path)
    if source then model.free_sources[source] = true end
    return pointer("PCM_source", source)
  end

  function impl.PCM_Source_CreateFromType(kind)
    if kind ~= "MIDI" then fake.refuse("PCM_Source_CreateFromType: " .. kind, 3) end
    local source = { kind = "MIDI", length = 0.0, events = {}, sorted = true }
    model.free_sources[source] = true
    return pointer("PCM_source", source)
  end

  function impl.PCM_Source_Destroy(source)
    if not model.free_sources[source] then fake.refuse("PCM_Source_Destroy of a source that a take plays: a crash", 3) end
    model.free_sources[source] = nil
  end

  function impl.SetMediaItemTake_Source(take, source)
    if not model.free_sources[source] then fake.refuse("a source set into a second take: a crash", 3) end
    model.free_sources[source] = nil
    if take.source then
      model.own_source(take.source, nil)
      model.free_sources[take.source] = true
    end
    take.source = source
    model.own_source(source, take)
    model.touch(model.project_of(take), "items", "source")
    return true
  end

  function impl.GetMediaItemTake_Source(take) return pointer("PCM_source", take.source) end

  function impl.GetMediaSourceFileName(source) return source.file or "" end

  function impl.GetMediaSourceType(source) return source.kind end

  function impl.GetMediaSourceParent(source) return pointer("PCM_source", source.parent) end

  function impl.GetMediaSourceLength(source)
    return (source.kind == "MIDI" and source.length or source.length), source.kind == "MIDI"
  end

  function impl.GetMediaSourceSampleRate(source) return source.rate or 0 end

  function impl.GetMediaSourceNumChannels(source) return source.channels or 0 end

  -- Arrays -----------------------------------------------------------------------------------------------------------

  local contents = setmetatable({}, { __mode = "k" })
  fake.arrays = { is = function(value) return type(value) == "table" and contents[value] ~= nil end }

  local function new_array(size, from)
    if math.type(size) == nil or size < 1 or size > 4194304 then fake.refuse("new_array: size " .. tostring(size), 4) end
    local array, values = {}, { size = math.tointeger(size) or fake.refuse("new_array: size is not whole", 4) }
    for i = 1, size do values[i] = from and from[i] or 0.0 end
    contents[array] = values
    local methods = {
      get_alloc = function() return size end,
      clear = function(value, offset, count)
        for i = offset or 1, (offset or 1) + (count or values.size) - 1 do values[i] = (value or 0) + 0.0 end
        return true
      end,
      table = function(offset, count)
        return { table.unpack(values, offset or 1, (offset or 1) + (count or values.size) - 1) }
      end,
      resize = function(count)
        if count > size then fake.refuse("array.resize beyond what was allotted", 3) end
        values.size = count
      end,
    }
    return setmetatable(array, {
      __index = function(_, key)
        if methods[key] then return methods[key] end
        if math.type(key) == nil or key < 1 or key > values.size then fake.refuse("array index " .. tostring(key), 3) end
        return values[math.tointeger(key)]
      end,
      __newindex = function(_, key, value)
        if math.type(key) == nil or key < 1 or key > values.size or type(value) ~= "number" then
          fake.refuse("array[" .. tostring(key) .. "] = " .. tostring(value), 3)
        end
        values[math.tointeger(key)] = value + 0.0
      end,
      __len = function() return values.size end, __metatable = false, __name = "reaper.array",
    })
  end

  function impl.new_array(first, size)
    if type(first) == "table" and not contents[first] then return new_array(size or #first, first) end
    return new_array(first)
  end

  -- Accessors --------------------------------------------------------------------------------------------------------

  function impl.CreateTakeAudioAccessor(take)
    if not take.source or take.source.kind == "MIDI" then return nil end
    local accessor = { take = take }
    model.accessors[accessor] = true
    return pointer("AudioAccessor", accessor)
  end

  function impl.DestroyAudioAccessor(accessor)
    if accessor.file then accessor.file:close() end
    model.accessors[accessor] = nil
  end

  function impl.GetAudioAccessorStartTime(_) return 0.0 end

  function impl.GetAudioAccessorEndTime(accessor)
    return model.alive("MediaItem_Take", accessor.take) and model.owner(accessor.take).length or 0.0
  end

  local function gain_of(take)
    local gain = take.volume
    for _, effect in ipairs(take.fx) do
      if effect.enabled then gain = gain * effect.gain end
    end
    return gain
  end

  function impl.GetAudioAccessorSamples(accessor, rate, channels, start, count, buffer)
    local take, values = accessor.take, contents[buffer]
    if channels < 1 or rate < 1 or count < 1 then fake.refuse("GetAudioAccessorSamples: nothing to read", 3) end
    if values.size < channels * count then fake.refuse("GetAudioAccessorSamples: the array is too small", 3) end
    if not model.alive("MediaItem_Take", take) then return -1 end
    fake.frames_read = fake.frames_read + count
    fake.spend("frame", count)
    local source, shift = take.source, 0.0
    if source.kind == "SECTION" then source, shift = source.parent, source.offset end
    accessor.header = accessor.header or read_header(source.file)
    accessor.file = accessor.file or fake.open(source.file, "rb")
    local header, file, item = accessor.header, accessor.file, model.owner(take)
    if not header or not file then return -1 end
    local first = math.floor((start * take.rate + take.offset + shift) * header.rate + 0.5)
    local step = take.rate * header.rate / rate
    local span = math.ceil(count * step) + 1
    file:seek("set", header.start + math.max(0, first) * header.block)
    local raw = samples_of(header, file:read(math.max(0, math.min(span, header.frames - first)) * header.block) or "")
    local gain, some = gain_of(take), 0
    for i = 0, count - 1 do
      local at = math.floor(i * step + 0.5)
      local inside = first + at >= 0 and first + at < header.frames and start + i / rate < item.length
      for c = 0, channels - 1 do
        local value = inside and raw[at * header.channels + c % header.channels + 1] or 0.0
        if value and value ~= 0 then some = 1 end
        values[i * channels + c + 1] = (value or 0.0) * gain
      end
    end
    return some
  end
end
