-- A project as the text of an .RPP file, as far as the scripts can change one.

return function(fake)
  local CUSTOM = 0x1000000

  local function number(value)
    if math.type(value) == "integer" then return tostring(value) end
    if value == math.floor(value) and math.abs(value) < 1e15 then return string.format("%d", value) end
    return string.format("%.17g", value)
  end

  local function quote(text)
    for _, mark in ipairs({ '"', "'", "`" }) do
      if not text:find(mark, 1, true) then return mark .. text .. mark end
    end
    return "`" .. text:gsub("`", "'") .. "`"
  end

  local function bool(value) return value and "1" or "0" end

  -- Colours in the file have red in the low byte on every system.
  local function colour(value)
    if value == 0 then return "16576" end
    if fake.os == "Win64" then return tostring(value | CUSTOM) end
    return tostring(CUSTOM | (value & 255) << 16 | value & 0xFF00 | value >> 16 & 255)
  end

  return function(project)
    local state, lines, depth = project.state, {}, 0

    local function line(...) lines[#lines + 1] = string.rep("  ", depth) .. table.concat({ ... }, " ") end

    local function open(...)
      line("<" .. table.concat({ ... }, " "))
      depth = depth + 1
    end

    local function close()
      depth = depth - 1
      line(">")
    end

    local function ext(kept)
      local keys = {}
      for key in pairs(kept) do keys[#keys + 1] = key end
      if #keys == 0 then return end
      table.sort(keys)
      open("EXT")
      for _, key in ipairs(keys) do line(key, quote(kept[key])) end
      close()
    end

    local function source(given)
      if not given then return end
      open("SOURCE", given.kind)
      if given.file then line("FILE", quote(given.file)) end
      if given.kind == "SECTION" then
        line("LENGTH", number(given.length))
        line("STARTPOS", number(given.offset))
        source(given.parent)
      elseif given.kind == "MIDI" and not given.file then
        line("HASDATA 1 960 QN")
        local now = 0
        for _, event in ipairs(given.events) do
          local bytes = event[3]
          if bytes:byte(1) == 0xFF then
            open("X", number(event[1] - now), number(event[2]))
            line((bytes:gsub(".", function(c) return string.format("%02x", c:byte()) end)))
            close()
          else
            line("E", number(event[1] - now), (bytes:gsub(".", function(c) return string.format("%02x ", c:byte()) end)))
          end
          now = event[1]
        end
      end
      close()
    end

    local function take(given, first, playing)
      if not first then line(playing and "TAKE SEL" or "TAKE") end
      line("NAME", quote(given.name))
      line("VOLPAN", number(given.volume), number(given.pan), "1 -1")
      line("SOFFS", number(given.offset))
      line("PLAYRATE", number(given.rate), bool(given.preserve), number(given.pitch), number(given.pitch_mode))
      line("CHANMODE", number(given.channels))
      line("GUID", given.guid)
      source(given.source)
      for _, effect in ipairs(given.fx) do line("TAKEFX", quote(effect.name), bool(effect.enabled)) end
      if next(given.ext) then ext(given.ext) end
    end

    local function item(given)
      open("ITEM")
      line("POSITION", number(given.position))
      line("SNAPOFFS", number(given.snap))
      line("LENGTH", number(given.length))
      line("LOOP", bool(given.loop))
      line("ALLTAKES", bool(given.all_takes))
      line("FADEIN 1", number(given.auto_fade_in < 0 and given.fade_in or given.auto_fade_in), "0 1 0 0 0")
      line("FADEOUT 1", number(given.auto_fade_out < 0 and given.fade_out or given.auto_fade_out), "0 1 0 0 0")
      line("MUTE", bool(given.mute), "0")
      line("SEL", bool(given.selected))
      line("BEAT", number(given.timebase))
      line("IGUID", given.guid)
      line("COLOR", colour(given.colour))
      line("FIXEDLANE", number(given.lane))
      for i, other in ipairs(given.takes) do take(other, i == 1, i == given.current + 1) end
      if next(given.ext) then ext(given.ext) end
      close()
    end

    local function track(given, inside)
      open("TRACK", given.guid)
      line("NAME", quote(given.name))
      line("PEAKCOL", colour(given.colour))
      line("VOLPAN", number(given.volume), number(given.pan), "-1 -1 1")
      line("MUTESOLO", bool(given.mute), number(given.solo), "0")
      line("ISBUS", given.depth > 0 and "1" or given.depth < 0 and "2" or "0", number(given.depth))
      line("SEL", bool(given.selected))
      line("FREEMODE", number(given.free_mode))
      line("DEPTH", number(inside))
      for lane = 0, given.lanes - 1 do
        if given.lane_names[lane] then line("LANENAME", number(lane), quote(given.lane_names[lane])) end
      end
      for lane = 0, given.lanes - 1 do line("LANEPLAYS", number(lane), number(given.lanes_playing[lane] or 0)) end
      for _, one in ipairs(given.items) do item(one) end
      ext(given.ext)
      close()
    end

    open("REAPER_PROJECT", "0.1", quote(fake.version_text .. "/fake"), "0")
    line("PROJOFFS", number(state.offset), number(state.measure_offset))
    line("SAMPLERATE", number(state.sample_rate), number(state.sample_rate_use), "0")
    line("SELECTION", number(state.time_selection[1]), number(state.time_selection[2]))
    line("CURSOR", number(state.cursor))
    local first = state.tempo[1]
    line("TEMPO", number(first.bpm), number(first.num), number(first.den))
    open("TEMPOENVEX")
    for _, point in ipairs(state.tempo) do
      local metre = point.num > 0 and number(point.num + 65536 * point.den) or "0"
      line("PT", number(point.time), number(point.bpm), point.linear and "0" or "1", metre)
    end
    close()
    for _, mark in ipairs(state.marks) do
      line("MARKER", number(mark.number), number(mark.position), quote(mark.name), bool(mark.region), number(mark.colour))
      if mark.region then line("MARKER", number(mark.number), number(mark.stop), '""', "1") end
    end
    local depths = fake.depths(project)
    for i, one in ipairs(state.tracks) do track(one, depths[i]) end
    local sections = {}
    for name in pairs(state.ext) do sections[#sections + 1] = name end
    table.sort(sections)
    open("EXTSTATE")
    for _, name in ipairs(sections) do
      open(name)
      local keys = {}
      for key in pairs(state.ext[name]) do keys[#keys + 1] = key end
      table.sort(keys)
      for _, key in ipairs(keys) do line(key, quote(state.ext[name][key])) end
      close()
    end
    close()
    close()
    return table.concat(lines, "\n") .. "\n"
  end
end
