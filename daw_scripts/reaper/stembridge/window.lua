-- The window: shows the project in front, its sections, settings and jobs, and leaves wishes as the actions do.
-- It works nothing off itself: that is the service's, which goes on when the window is closed.

return function(use)
  local door, json, labels, mailbox = use("door"), use("json"), use("labels"), use("mailbox")
  local map, panel, projects, sections = use("map"), use("panel"), use("projects"), use("sections")
  local marks, settings_of, slices = use("marks"), use("settings"), use("slices")

  local window = {}
  local SECTION = projects.SECTION
  local TITLE = "stembridge"
  local SLICE = 0.001 -- seconds a frame for reading sections
  local LOOK_EVERY = 1 -- seconds between looks at sections and engine

  local Window = {}
  Window.__index = Window

  function window.new()
    local imgui = use("paint_imgui")
    local painter = imgui.exists() and imgui or use("paint_gfx")
    local self = setmetatable({
      painter = painter.open(TITLE), box = mailbox.open(projects.data(), json, os.time), looked = -math.huge,
      view = { sections = {}, part = "guitar", status = { jobs = {}, messages = {} }, engine = "", title = "" },
    }, Window)
    self.act = {
      ask = function(verb, wish) self:ask(verb, wish) end,
      keep = function() self:keep() end,
      choose_reference = function() self:choose_reference() end,
    }
    return self
  end

  function Window:ask(verb, wish)
    local ok, trouble = pcall(door.ask, verb, wish)
    if not ok then self.view.engine = tostring(trouble) end
  end

  function Window:keep()
    if self.proj then projects.set(self.proj, "settings", json.encode(self.view.settings)) end
  end

  function Window:choose_reference()
    local ok, path = reaper.GetUserFileNameForRead("", "stembridge: the clip whose sound the band shall match", "wav")
    if not ok then return end
    self.view.settings.reference = path
    self:keep()
  end

  -- The project in front; its settings where it has changed.
  function Window:look_at_project()
    local proj, path = projects.active()
    self.view.title = projects.title(path)
    if proj ~= self.proj then
      self.proj, self.reading = proj, nil
      self.view.project = projects.get(proj, "id")
      self.view.settings = settings_of.read(projects.object(proj, "settings"))
      self.looked = -math.huge
    end
    if self.view.project == "" then self.view.project = projects.get(proj, "id") end
  end

  function Window:look_at_engine()
    local engine, why = self.box:engine()
    self.view.engine = engine and "Engine " .. tostring(engine.version) .. " is running." or why
  end

  -- Sections as 'Generate band' would take them now, read in slices.
  function Window:read_sections(pause)
    local proj = self.proj
    local regions, markers = map.regions(proj, pause)
    local selection = map.selection(proj)
    local ok, found = pcall(function()
      local _, others = marks.marks2keys(markers)
      return sections.make(regions, others, selection, map.song_end(proj), labels.name2label, nil, pause)
    end)
    return { sections = ok and found or {}, trouble = not ok and tostring(found) or nil, selection = selection ~= nil }
  end

  function Window:look(now)
    if now - self.looked >= LOOK_EVERY and not self.reading then
      self.looked = now
      self:look_at_engine()
      self.reading = slices.new(function(pause) return self:read_sections(pause) end, reaper.time_precise, SLICE)
    end
    if self.reading then
      local ok, done, found = pcall(self.reading.step, self.reading)
      if not ok or done then self.reading = nil end
      if ok and done then
        self.view.sections, self.view.trouble, self.view.selection = found.sections, found.trouble, found.selection
      end
    end
    local text = reaper.GetExtState(SECTION, "status")
    if text ~= self.told then
      self.told = text
      local ok, status = pcall(json.decode, text)
      if ok and type(status) == "table" and status.jobs and status.messages then self.view.status = status end
    end
  end

  -- One frame; false when the window was closed.
  function Window:frame()
    local now = reaper.time_precise()
    reaper.SetExtState(SECTION, "window", tostring(now), false)
    self:look_at_project()
    self:look(now)
    return self.painter.frame(function(paint) panel.draw(paint, self.view, self.act) end)
  end

  function Window:close()
    reaper.DeleteExtState(SECTION, "window", false)
    self.painter.close()
  end

  return window
end
