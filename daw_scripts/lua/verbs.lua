-- What the musician's verbs are in the protocol. Plain Lua: tables in, a render request (without the token) out.
--   generate  a band for the sections            continue  sections that begin where a take ends
--   reroll    some bars or stems of a take anew  match     the notes of a take in the sound of a reference
--   add       a part that a take lacks           next      the same request with the next seed

return function(use)
  local json, request = use("json"), use("request")
  local verbs = {}

  verbs.TITLES = {
    generate = "Generate band", reroll = "Re-roll selection", add = "Add part", continue = "Continue",
    match = "Match reference", next = "Next take",
  }
  verbs.WISHES = { density = true, register = true, complexity = true }
  verbs.LONGEST = 16 -- bars that a continuation has where nothing says how long it is

  -- "guitar 2" is role guitar, name "guitar 2"; words after a colon are its instrument ("guitar: nylon"). nil where the
  -- first word is no role. `density=0.5`, `register=-1`, `complexity=1` (-1 to 1) and `space=lead` anywhere in the text
  -- are wishes for the part.
  function verbs.text2stem(text)
    local wishes = {}
    text = text:gsub("(%a+)=(%S+)", function(wish, value)
      if verbs.WISHES[wish] then wishes[wish] = tonumber(value) end
      if wish == "space" then wishes.leave_space_for = value end
      return (wishes[wish] or wish == "space") and "" or nil
    end)
    local name, instrument = text:match("^%s*(.-)%s*:%s*(.-)%s*$")
    name = name or text:match("^%s*(.-)%s*$")
    local first = name:lower():match("^(%a+)")
    for _, role in ipairs(request.ROLES) do
      if first == role then
        local plain = name:lower() == role and "" or name
        return { role = role, name = plain, instrument = instrument, wishes = next(wishes) and wishes or nil }
      end
    end
    return nil
  end

  local function title(stem) return stem.name and stem.name ~= "" and stem.name or stem.role end

  -- First and last beat of a request's sections.
  function verbs.span(asked)
    local first, last = math.huge, -math.huge
    for _, section in ipairs(asked.arrangement.sections) do
      first, last = math.min(first, section.start), math.max(last, section["end"])
    end
    return first, last
  end

  -- A request for a new take. song: name, root, daw, sample_rate, clock, metres, keys, sections, tracks, references.
  function verbs.generate(job, song, settings, seed)
    local asked = request.build(json, job, nil, song, settings, seed)
    asked.arrangement.references = json.array(song.references)
    return asked
  end

  -- A copy of what was asked for a take, as a request of its own; the clock is read anew.
  local function again(base, job, seed, song)
    local asked = {}
    for name, value in pairs(base) do asked[name] = value end
    asked.scope, asked.continues = nil, nil
    asked.job, asked.seed, asked.takes = job, seed, 1
    asked.project = { name = song.name, root = song.root, daw = song.daw }
    asked.arrangement = {}
    for name, value in pairs(base.arrangement) do asked.arrangement[name] = value end
    asked.arrangement.clock, asked.arrangement.metres = json.array(song.clock), json.array(song.metres)
    return asked
  end

  -- `wanted`: {take, stems = names or empty for all, start, stop = beats or nil}. Raises an error for what the take
  -- does not have.
  function verbs.reroll(base, job, seed, song, wanted)
    local asked = again(base, job, seed, song)
    local has, stems = {}, json.array()
    for _, stem in ipairs(base.stems) do has[title(stem)] = true end
    for _, name in ipairs(wanted.stems) do
      if has[name] then stems[#stems + 1] = name end
    end
    if #wanted.stems > 0 and #stems == 0 then
      error("The take has no stem '" .. wanted.stems[1] .. "'. Select tracks of the band that it plays on.", 0)
    end
    asked.scope = { take = wanted.take, stems = stems }
    if wanted.start then
      local first, last = verbs.span(base)
      local start, stop = math.max(wanted.start, first), math.min(wanted.stop, last)
      if stop <= start then
        error(string.format("The time selection lies outside the take (beats %g to %g).", first, last), 0)
      end
      asked.scope.start, asked.scope["end"] = start, stop
    end
    return asked
  end

  -- `stem`: {role, name, instrument = words or nil}; a name that the take has gets a number. Returns the request and
  -- the new stem's name.
  function verbs.add(base, job, seed, song, take, stem)
    local asked = again(base, job, seed, song)
    local taken, stems = {}, json.array()
    for i, other in ipairs(base.stems) do
      stems[i] = other
      taken[title(other):lower()] = true
    end
    local name, number = title(stem), 1
    while taken[name:lower()] do
      number = number + 1
      name = title(stem) .. " " .. number
    end
    local added = { role = stem.role, name = name, instrument = stem.instrument }
    for wish, value in pairs(stem.wishes or {}) do added[wish] = value end
    stems[#stems + 1] = added
    asked.stems = stems
    asked.scope = { take = take, stems = json.array({ name }) }
    return asked, name
  end

  function verbs.continue(base, job, seed, song, take)
    local asked = again(base, job, seed, song)
    local arrangement = asked.arrangement
    arrangement.sections, arrangement.tracks = json.array(song.sections), json.array(song.tracks)
    arrangement.keys = #song.keys > 0 and json.array(song.keys) or arrangement.keys
    asked.continues = take
    return asked
  end

  function verbs.match(base, job, seed, song, take)
    local asked = again(base, job, seed, song)
    asked.arrangement.references = json.array(song.references)
    asked.scope = { take = take, notes = "keep" }
    return asked
  end

  -- The seeds of one request's takes follow each other, so the next one is after the last of them.
  function verbs.next(base, job, song)
    local asked = again(base, job, base.seed + (base.takes or 1), song)
    asked.scope, asked.continues = base.scope, base.continues
    return asked
  end

  return verbs
end
