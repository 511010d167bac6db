-- From a wish and what was read from the session to the request, and the sentence that says what was asked. Plain Lua.
--
-- A wish: {ask = verb, settings, selection = {start, stop} in beats or nil, take = "<job>/take-N" that it is about,
-- stems = names (reroll), stem = {role, name} (add)}.

return function(use)
  local json, request, verbs = use("json"), use("request"), use("verbs")
  local asking = {}

  -- Verbs that write into a take or repeat one: its clock and sections stay, to the last bit.
  asking.KEEPS_CLOCK = { reroll = true, add = true, match = true, next = true }

  local function list(names)
    return #names > 0 and table.concat(names, ", ") or "the whole band"
  end

  local function bars(scope)
    return scope.start and string.format(", beats %g to %g", scope.start, scope["end"]) or ""
  end

  local BUILD = {}

  function BUILD.generate(_, _, job, song, settings, seed)
    local asked = verbs.generate(job, song, settings, seed)
    return asked, string.format("The band was asked for %d sections", #song.sections)
  end

  function BUILD.reroll(wish, base, job, song, _, seed)
    local wanted = { take = wish.take, stems = wish.stems or {} }
    if wish.selection then wanted.start, wanted.stop = wish.selection.start, wish.selection.stop end
    local asked = verbs.reroll(base, job, seed, song, wanted)
    asked.arrangement.tracks = json.array(song.tracks)
    return asked, "Re-rolling " .. list(asked.scope.stems) .. bars(asked.scope)
  end

  function BUILD.add(wish, base, job, song, _, seed)
    local asked, name = verbs.add(base, job, seed, song, wish.take, wish.stem)
    asked.arrangement.tracks = json.array(song.tracks)
    return asked, "The band was asked for " .. name
  end

  BUILD["continue"] = function(wish, base, job, song, _, seed)
    local section = song.sections[1]
    return verbs.continue(base, job, seed, song, wish.take),
      string.format("The band goes on: %s, beats %g to %g", section.name, section.start, section["end"])
  end

  function BUILD.match(wish, base, job, song, settings, seed)
    if #song.references == 0 then error("None of the selected regions can be read as a reference.", 0) end
    local names = {}
    for i, reference in ipairs(song.references) do names[i] = reference.audio:match("[^/\\]+$") end
    local text = "The band was asked to sound like " .. table.concat(names, ", ")
    if not base then return verbs.generate(job, song, settings, seed), text end
    return verbs.match(base, job, base.seed, song, wish.take), text
  end

  function BUILD.next(_, base, job, song)
    return verbs.next(base, job, song), "The band was asked for the next take"
  end

  -- The request (without the token) and what to tell the user. `base`: what was asked for the wish's take, or nil;
  -- `song`: what `project.describe` has read; `random` gives bytes. Raises an error that says what to do.
  function asking.build(wish, base, job, song, random)
    local settings = request.settings(wish.settings)
    local seed = settings.seed
    -- Written anew with a seed that was used before a part could come out as it was.
    if seed == 0 or base then seed = request.bytes2seed(random(4)) end
    local asked, text = BUILD[wish.ask](wish, base, job, song, settings, seed)
    request.name_from_root(asked)
    text = string.format("%s (seed %d).", text, asked.seed)
    for _, remark in ipairs(song.remarks) do text = text .. "\n" .. remark end
    return asked, text
  end

  function asking.knows(ask) return BUILD[ask] ~= nil end

  return asking
end
