-- From a verb to its request: reads of the project what the verb needs, in slices, and changes nothing in it.

return function(use)
  local files, items, json, keys = use("mailbox"), use("items"), use("json"), use("keys")
  local labels, map, marks, own = use("labels"), use("map"), use("marks"), use("own")
  local projects, request, sections, verbs = use("projects"), use("request"), use("sections"), use("verbs")

  local describe = {}
  local CHANGED_AGAIN = 3 -- readings of a project that the user keeps changing

  local function basics(proj, path, id)
    return {
      name = projects.title(path), root = projects.root(path), home = projects.home(id, path),
      daw = "reaper " .. reaper.GetAppVersion(), sample_rate = map.sample_rate(proj), keys = {}, references = {},
      tracks = {},
    }
  end

  -- Regions, markers that are no keys, and the markers' keys; read again where the user changed the project meanwhile.
  local function read_marks(proj, pause)
    local regions, markers, marked
    for _ = 1, CHANGED_AGAIN do
      local count = reaper.GetProjectStateChangeCount(proj)
      regions, markers = map.regions(proj, pause)
      if reaper.GetProjectStateChangeCount(proj) == count then break end
    end
    marked, markers = marks.marks2keys(markers)
    return regions, markers, marked
  end

  local function read_clock(proj, song, last, stops, pause)
    local borders = {}
    for _, section in ipairs(stops) do
      borders[#borders + 1], borders[#borders + 2] = section.start, section["end"]
    end
    song.clock, song.metres = map.clock(proj, last, borders, pause)
  end

  -- What the band plays along with: the selected items, notes and sound, or where none is selected all notes.
  local function read_context(proj, song, writer, selected, marked, pause)
    local references, context = {}, {}
    for _, one in ipairs(selected) do
      local list = items.is_reference(one) and references or context
      list[#list + 1] = one
    end
    if #context > 0 then
      song.note = #context == 1 and "It plays along with the selected item."
        or string.format("It plays along with the %d selected items.", #context)
    else
      context = items.all_midi(proj, pause)
    end
    local events, scales = {}, {}
    local last = song.clock[#song.clock][1]
    local function add(tracks)
      for _, track in ipairs(tracks) do
        if track.start < last then song.tracks[#song.tracks + 1] = track end
      end
    end
    add(items.midi2tracks(proj, context, writer, events, scales, pause))
    add(items.audio2tracks(proj, context, writer, pause))
    for _, reference in ipairs(items.audio2references(proj, references, writer, pause)) do
      song.references[#song.references + 1] = reference
    end
    song.keys = keys.choose({ marked, events, scales })
  end

  local function chosen_reference(settings)
    local path = settings.reference
    if path == "" then return nil end
    local file = io.open(path, "rb")
    if not file then error("The reference " .. path .. " cannot be read. Choose another clip, or none.", 0) end
    file:close()
    return { audio = path, from_second = 0 }
  end

  local read = {}

  local function new_take(proj, song, wish, writer, selected, pause)
    local regions, markers, marked = read_marks(proj, pause)
    local selection, song_end = map.selection(proj), map.song_end(proj)
    song.sections = sections.make(regions, markers, selection, song_end, labels.name2label, nil, pause)
    read_clock(proj, song, song.sections[#song.sections]["end"], song.sections, pause)
    read_context(proj, song, writer, selected, marked, pause)
    return verbs.generate(wish.job, song, wish.settings, wish.seed)
  end

  local function context_writer(song, wish)
    return items.writer(projects.folder(song.home, "context"), wish.job, files.write)
  end

  function read.generate(proj, song, wish, pause)
    song.references[1] = chosen_reference(wish.settings)
    return new_take(proj, song, wish, context_writer(song, wish), items.selected(proj), pause)
  end

  -- What was asked for a take, as text: from where it was written, or from the folder that has moved with the project.
  -- Also whether it has moved; the engine looks for the take beside it.
  local function kept_request(song, found)
    local text = found.asked and files.read(found.asked)
    if text then return text, false end
    return files.read(song.home .. "/asked/" .. found.take:match("^(.-)/") .. ".json"), true
  end

  -- The take that an edit is made of: {take, band, asked}. Raises an error where there is none.
  local function base_take(proj, song, pause)
    local found = own.current_take(proj)
    if not found then error("There is no take in this project yet. Use 'stembridge: Generate band' first.", 0) end
    local text, moved = kept_request(song, found)
    local ok, asked = pcall(json.decode, text or "", pause)
    if not ok or type(asked) ~= "table" then
      error("What was asked for this take is not kept in " .. song.home .. "/asked. Generate the band anew.", 0)
    end
    if not moved then song.root = asked.project.root end
    return { take = found.take, band = found.band, asked = asked }
  end

  -- The clock of an edit covers what the take's clock covered: the engine compares them.
  local function edit_clock(proj, song, base, pause)
    local pairs_ = base.asked.arrangement.clock
    read_clock(proj, song, pairs_[#pairs_][1], base.asked.arrangement.sections, pause)
  end

  function read.reroll(proj, song, wish, pause)
    local base = base_take(proj, song, pause)
    local selection, stems = map.selection(proj), own.selected_stems(proj)
    if not selection and #stems == 0 then
      error("Nothing is selected. Select time, tracks of the band, or both; then re-roll.", 0)
    end
    edit_clock(proj, song, base, pause)
    local wanted = { take = base.take, stems = stems }
    if selection then wanted.start, wanted.stop = selection.start, selection.stop end
    return verbs.reroll(base.asked, wish.job, wish.seed, song, wanted), base.band
  end

  function read.add(proj, song, wish, pause)
    local base = base_take(proj, song, pause)
    local stem = verbs.text2stem(wish.part or "")
    if not stem then
      error("'" .. tostring(wish.part) .. "' is no part. Say one of: " .. table.concat(request.ROLES, ", ") .. ".", 0)
    end
    edit_clock(proj, song, base, pause)
    return verbs.add(base.asked, wish.job, wish.seed, song, base.take, stem), base.band
  end

  function read.continue(proj, song, wish, pause)
    local base = base_take(proj, song, pause)
    local regions, _, marked = read_marks(proj, pause)
    local arrangement = base.asked.arrangement
    local last = arrangement.sections[#arrangement.sections]
    local _, take_end = verbs.span(base.asked)
    local second = map.beat2second(proj, take_end)
    local num, denom = reaper.TimeMap_GetTimeSigAtTime(proj, second)
    local longest = verbs.LONGEST * num * 4 / denom
    local length = math.min(last["end"] - last.start, longest)
    song.sections = { sections.after(take_end, regions, map.selection(proj), length, last, labels.name2label) }
    read_clock(proj, song, song.sections[1]["end"], song.sections, pause)
    read_context(proj, song, context_writer(song, wish), items.selected(proj), marked, pause)
    return verbs.continue(base.asked, wish.job, wish.seed, song, base.take), base.band
  end

  function read.match(proj, song, wish, pause)
    local audio = {}
    for _, one in ipairs(items.selected(proj)) do
      if not one.midi then audio[#audio + 1] = one end
    end
    local writer = context_writer(song, wish)
    song.references = items.audio2references(proj, audio, writer, pause)
    if #audio == 0 then song.references[1] = chosen_reference(wish.settings) end
    if #song.references == 0 then
      error("No audio item is selected. Select the clip whose sound the band shall match, or choose a file in the "
        .. "window.", 0)
    end
    if not own.current_take(proj) then return new_take(proj, song, wish, writer, {}, pause) end
    local base = base_take(proj, song, pause)
    edit_clock(proj, song, base, pause)
    return verbs.match(base.asked, wish.job, base.asked.seed, song, base.take), base.band
  end

  function read.next(proj, song, wish, pause)
    local base = base_take(proj, song, pause)
    edit_clock(proj, song, base, pause)
    return verbs.next(base.asked, wish.job, song), base.band
  end

  -- The request for `wish` {verb, job, seed, settings, part} as {asked, text, path, band, note}: the table, its JSON,
  -- the file that keeps it, the band (folder) that it belongs to, nil for a new one, and what the user should know.
  -- Raises an error for the user.
  function describe.request(proj, path, id, wish, pause)
    local song = basics(proj, path, id)
    local asked, band = read[wish.verb](proj, song, wish, pause)
    request.name_from_root(asked)
    local text = json.encode(asked, pause)
    local kept = projects.folder(song.home, "asked") .. "/" .. wish.job .. ".json"
    files.write(kept, text)
    return { asked = asked, text = text, path = kept, band = band, note = song.note }
  end

  return describe
end
