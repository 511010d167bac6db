-- What a running REAPER holds: projects in tabs, and in each the state that its undo history covers.
--
-- A project is { name, file, state, undo, ... }; a state is plain tables (tracks > items > takes > source), so that it
-- can be copied, compared and written. Who owns what is kept beside it: what has no owner is gone, and its pointers with
-- it. Positions and lengths are floats in seconds; counts, indices and colours are integers.

return function(fake)
  local model = { projects = {}, current = nil, accessors = {}, free_sources = {} }
  local owner = setmetatable({}, { __mode = "k" })
  local guids = 0

  function model.guid()
    guids = guids + 1
    return string.format("{%08X-0000-4000-8000-%012X}", guids, fake.boots * 1000003 + guids)
  end

  function model.copy(value)
    if type(value) ~= "table" then return value end
    local twin = {}
    for k, v in pairs(value) do twin[k] = model.copy(v) end
    return twin
  end

  -- Owners -----------------------------------------------------------------------------------------------------------

  function model.owner(object) return owner[object] end

  function model.own(object, holder) owner[object] = holder end

  -- A section's or reversed source's parent goes with it. `holder` nil: the source is gone.
  function model.own_source(source, holder)
    owner[source] = holder
    if source.parent then model.own_source(source.parent, holder and source) end
  end

  local function link(state, project)
    for _, track in ipairs(state.tracks) do
      owner[track] = project
      for _, item in ipairs(track.items) do
        owner[item] = track
        for _, take in ipairs(item.takes) do
          owner[take] = item
          if take.source then model.own_source(take.source, take) end
        end
      end
    end
  end

  local function unlink(state)
    for _, track in ipairs(state.tracks) do model.forget_track(track) end
    for _, mark in ipairs(state.marks) do owner[mark] = nil end
  end

  function model.forget_item(item)
    owner[item] = nil
    for _, take in ipairs(item.takes) do
      owner[take] = nil
      if take.source then model.own_source(take.source, nil) end
    end
  end

  function model.forget_track(track)
    owner[track] = nil
    for _, item in ipairs(track.items) do model.forget_item(item) end
  end

  -- Marks (markers and regions) are numbered anew with every change: a pointer to one does not outlive that.
  function model.marks_changed(project)
    local state = project.state
    table.sort(state.marks, function(a, b)
      if a.position ~= b.position then return a.position < b.position end
      if a.region ~= b.region then return not a.region end
      return a.number < b.number
    end)
    for i, mark in ipairs(state.marks) do
      state.marks[i] = model.copy(mark)
      owner[mark] = nil
      owner[state.marks[i]] = project
    end
  end

  function model.alive(kind, object)
    if kind == "AudioAccessor" then return model.accessors[object] == true end
    if kind == "ImGui_Context" then return object.used ~= nil and fake.tick_number - object.used <= 1 end
    if kind == "PCM_source" and model.free_sources[object] then return true end
    while object and not object.state do object = owner[object] end
    return object ~= nil and object.open == true
  end

  function model.project_of(object)
    while object and not object.state do object = owner[object] end
    return object
  end

  -- Projects ---------------------------------------------------------------------------------------------------------

  function model.new_state()
    return {
      tracks = {}, marks = {}, ext = {},
      tempo = { { time = 0.0, bpm = 120.0, num = 4, den = 4, linear = false, base = true } },
      time_selection = { 0.0, 0.0 }, loop = { 0.0, 0.0 }, repeat_on = 0, cursor = 0.0,
      sample_rate = 48000.0, sample_rate_use = 1.0, offset = 0.0, measure_offset = 0,
    }
  end

  -- A new tab. `file`: path of its .rpp, "" while it was never saved.
  function model.new_project(file)
    local project = {
      open = true, file = file or "", state = model.new_state(), changes = 0, dirty = 0, blocks = {},
      play_state = 0, unblocked = {}, history = {}, at = 1,
    }
    model.projects[#model.projects + 1] = project
    model.settle(project, "")
    model.current = project
    return project
  end

  function model.close(project)
    project.open = false
    unlink(project.state)
    for i, other in ipairs(model.projects) do
      if other == project then table.remove(model.projects, i) break end
    end
    if #model.projects == 0 then model.new_project("") end
    if model.current == project then model.current = model.projects[1] end
  end

  -- Puts a state in the place of the present one: every pointer into the old one is gone.
  function model.replace(project, state)
    unlink(project.state)
    project.state = model.copy(state)
    link(project.state, project)
    for _, mark in ipairs(project.state.marks) do owner[mark] = project end
  end

  -- Undo history -----------------------------------------------------------------------------------------------------

  -- A change of the project: `kind` is what an undo point must cover (tracks, items, misc), or "ext" for stored values
  -- of scripts, which need none.
  function model.touch(project, kind, what)
    project.changes = project.changes + 1
    project.dirty = 1
    if kind == "ext" then return end
    if #project.blocks > 0 then
      project.touched[kind] = true
    elseif not fake.by_user then
      project.unblocked[#project.unblocked + 1] = what
    end
  end

  -- Ends a step of the history with the present state.
  function model.settle(project, description)
    for i = #project.history, project.at + 1, -1 do project.history[i] = nil end
    local first = #project.history == 0
    if not first then project.at = project.at + 1 end
    project.history[project.at] = { description = description, state = model.copy(project.state) }
    project.touched = {}
  end

  -- Goes to a step of the history. Stored values of scripts (ProjExtState) are outside of it.
  function model.travel(project, to)
    local kept = project.state.ext
    project.at = to
    model.replace(project, project.history[to].state)
    project.state.ext = kept
    project.changes = project.changes + 1
  end

  -- Writing and reading states ---------------------------------------------------------------------------------------

  local function literal(value, out)
    if type(value) == "table" then
      out[#out + 1] = "{"
      local keys = {}
      for k in pairs(value) do keys[#keys + 1] = k end
      table.sort(keys, function(a, b)
        if type(a) == type(b) then return a < b end
        return type(a) == "number"
      end)
      for _, k in ipairs(keys) do
        out[#out + 1] = "["
        literal(k, out)
        out[#out + 1] = "]="
        literal(value[k], out)
        out[#out + 1] = ","
      end
      out[#out + 1] = "}"
    elseif type(value) == "string" then
      out[#out + 1] = (string.format("%q", value):gsub("\\\n", "\\n"))
    elseif math.type(value) == "float" then
      out[#out + 1] = string.format("%a", value)
    else
      out[#out + 1] = tostring(value)
    end
  end

  -- A value of plain tables as the text of a Lua expression; equal values give equal texts.
  function model.text(value)
    local out = {}
    literal(value, out)
    return table.concat(out)
  end

  function model.value(text) return assert(load("return " .. text, "=state", "t", {}))() end

  return model
end
