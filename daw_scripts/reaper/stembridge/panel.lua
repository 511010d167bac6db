-- What the window shows, drawn anew each frame by a painter (`paint_gfx`, `paint_imgui`): the same on both.
-- A painter has text(s), dim(s), button(label) -> clicked, check(label, v) -> changed, v, line(label, v) -> changed, v,
-- number(label, v, least, most) -> changed, v, bar(fraction, label), row() (the next thing stands beside), gap().

return function(use)
  local request = use("request")
  local panel = {}

  local MOST_SECTIONS, MOST_MESSAGES = 12, 6
  local LONGEST_NAME, LONGEST_TEXT = 90, 1000 -- letters: a message says at its end what to do
  local BIGGEST_SEED = 2147483647
  local STATES = { waiting = "waiting", landed = "on its track", problem = "could not be placed" }
  local VERBS = {
    { "generate", "Generate band" }, { "reroll", "Re-roll selection" }, { "continue", "Continue" },
    { "match", "Match reference" }, { "next", "Next take" }, { "cancel", "Cancel" },
  }

  local function shorten(text, longest)
    local plain = text:gsub("%c", " ")
    local stop = utf8.len(plain) and utf8.offset(plain, longest + 1)
    return stop and plain:sub(1, stop - 1) .. " ..." or plain
  end

  local function cut(text) return shorten(text, LONGEST_NAME) end

  local function told(text) return shorten(text, LONGEST_TEXT) end

  local function sections(paint, view)
    paint.text(view.selection and "Sections (in the time selection)" or "Sections")
    if view.trouble then return paint.dim(told(view.trouble)) end
    for i, section in ipairs(view.sections) do
      if i > MOST_SECTIONS then
        paint.dim(string.format("... and %d more", #view.sections - MOST_SECTIONS))
        break
      end
      local words = section.words ~= "" and ": " .. section.words or ""
      paint.dim(cut(string.format("%s (%s, %g beats)%s", section.name, section.label,
        section["end"] - section.start, words)))
    end
  end

  local function wishes(paint, view, act)
    local settings = view.settings
    paint.text("Stems")
    for i, role in ipairs(request.ROLES) do
      if i > 1 and i ~= 6 then paint.row() end
      local changed, wanted = paint.check(role, settings.stems[role])
      if changed then
        settings.stems[role] = wanted
        act.keep()
      end
    end
    local function edit(changed, name, value)
      if changed then
        settings[name] = value
        act.keep()
      end
    end
    local changed, value = paint.line("Style", settings.style)
    edit(changed, "style", value)
    changed, value = paint.number("Seed", settings.seed, 0, BIGGEST_SEED)
    edit(changed, "seed", value)
    changed, value = paint.number("Takes", settings.takes, 1, 8)
    edit(changed, "takes", value)
    paint.text("Reference: " .. (settings.reference == "" and "none" or cut(settings.reference:match("[^/\\]*$"))))
    if paint.button("Choose clip") then act.choose_reference() end
    if settings.reference ~= "" then
      paint.row()
      if paint.button("No reference") then edit(true, "reference", "") end
    end
  end

  local function buttons(paint, view, act)
    for i, verb in ipairs(VERBS) do
      if i > 1 and i ~= 4 then paint.row() end
      if paint.button(verb[2]) then act.ask(verb[1]) end
    end
    local changed, value = paint.line("Part", view.part)
    if changed then view.part = value end
    if paint.button("Add part") then act.ask("add", { part = view.part }) end
  end

  local function progress(paint, view)
    for _, job in ipairs(view.status.jobs) do
      if job.project == view.project then
        paint.bar(job.fraction, job.title)
        for line in job.text:gmatch("[^\n]+") do paint.dim(told(line)) end
        for _, stem in ipairs(job.stems) do
          paint.dim(stem.name .. ": " .. (STATES[stem.state] or stem.state))
        end
      else
        paint.dim("Another project: " .. job.title .. ", " .. cut(job.text))
      end
    end
  end

  local function messages(paint, view)
    local list = view.status.messages
    for i = #list, math.max(1, #list - MOST_MESSAGES + 1), -1 do
      local one = list[i]
      local mark = (one.kind == "error" or one.kind == "warning") and one.kind .. ": " or ""
      for line in (mark .. one.text):gmatch("[^\n]+") do paint.dim(told(line)) end
    end
  end

  -- view: title, project (id), engine (text), sections, trouble, selection, settings, part, status {jobs, messages}.
  -- act: ask(verb, wish), keep() (the settings), choose_reference().
  function panel.draw(paint, view, act)
    paint.text(cut(view.title))
    paint.dim(told(view.engine))
    paint.gap()
    sections(paint, view)
    paint.gap()
    wishes(paint, view, act)
    paint.gap()
    buttons(paint, view, act)
    paint.gap()
    progress(paint, view)
    messages(paint, view)
  end

  return panel
end
