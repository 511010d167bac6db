-- One job from the musician's wish to the tracks, a small step each tick. REAPER is behind `host`, the engine behind
-- `box` (the mailbox), so that this runs and is tested without either.
--
-- States: reading (the project, in slices) -> holding (asked, but no engine yet) -> waiting (stems, then the result)
--   -> uniting (the stems' undo steps into one) -> over.
-- What must survive a restart of REAPER is in `record`, which `host.save` writes:
--   job, verb, title, project = {id, path}, state, asked (file of the request), band, only (set of stems or nil),
--   activate (the new take sounds), stems (list of names), seed.

local job = {}
job.__index = job

local SLICE = 0.001 -- seconds of work per tick
local LOOK_EVERY = 3 -- ticks between looks at progress and result
local HEART_EVERY = 45 -- ticks between looks at the engine's heartbeat
-- Results that say that an engine started anew did not get the request: it is sent again, under the same id.
local LOST = { ["token.wrong"] = true, ["job.unknown"] = true }
local MOST_SENDS = 3
local UPDATE = "stembridge install reaper, then restart REAPER"
local STILL_EVERY = 15 -- ticks between tries to unite while the transport runs

-- `use` gives the modules; `host` does what touches REAPER:
--   now()               seconds, for slices
--   save()              keeps the records of all jobs
--   say(job, kind, text) tells the user: "info", "done", "warning", "error"
--   find(known, live)   the open project and its path, or nil; `live` is what it was before
--   landed(proj, job)   set of the landing names that are, or were, in the project
--   ready(proj)         nil, or why nothing can be placed now
--   prepare(proj, event, pause)   a stem's notes, made ready; or nil and why not
--   place(proj, tasks, record)    nil, or what is wrong
--   unite(proj, tasks, record)    one undo step out of several
--   finish(proj, record, result)  the project remembers the takes
function job.new(use, record, box, host)
  local self = setmetatable({
    use = use, record = record, box = box, host = host, files = use("mailbox"), tags = use("tags"),
    slices = use("slices"), version = use("version"), ticks = 0, next_stem = 1, todo = {}, placed = {}, shown = {},
    fraction = 0, stage = "", text = "", count = 0,
  }, job)
  return self
end

-- Begins with reading the open project `live`: `work(pause)` gives {asked, text, path, band, note}, or raises an error
-- for the user.
function job:read(work, live)
  self.record.state, self.live = "reading", live
  self.text = "Reading the project ..."
  self.work = self.slices.new(work, self.host.now, SLICE, function()
    if not self:project() then error("The project was closed while it was read.", 0) end
  end)
end

-- The job's project and its path, or nil while it is closed. One that was closed and opened again may have been closed
-- without saving: then what had landed is gone with it, and is looked for from the first stem on.
function job:project()
  local proj, path = self.host.find(self.record.project, self.live)
  if not proj and self.live then
    self.next_stem, self.todo, self.placed, self.landed, self.count, self.work = 1, {}, {}, nil, 0, nil
  end
  self.live = proj
  return proj, path
end

function job:say(kind, text)
  self.text = text
  self.host.say(self, kind, text)
end

function job:is_over() return self.record.state == "over" end

function job:go(state)
  self.record.state = state
  self.host.save()
end

function job:fail(text)
  self:say("error", text)
  self:go("over")
end

-- One tick.
function job:tick()
  self.ticks = self.ticks + 1
  local state = self.record.state
  if state == "reading" then return self:go_on_reading() end
  if state == "holding" then return self:hold() end
  if state == "waiting" then return self:wait() end
  if state == "uniting" then return self:unite() end
end

function job:go_on_reading()
  local ok, done, request = pcall(self.work.step, self.work)
  if not ok then return self:fail(tostring(done)) end
  if not done then return end
  local record, asked = self.record, request.asked
  record.asked, record.seed = request.path, asked.seed
  record.band = request.band or record.job
  record.activate = request.band ~= nil
  record.only, record.stems = self:wanted_stems(asked)
  self.request_text, self.note, self.work = request.text, request.note, nil
  self:go("holding")
  self:hold()
end

-- The stems that shall land: those of the scope, else all.
function job:wanted_stems(asked)
  local chosen = asked.scope and asked.scope.stems or {}
  if #chosen > 0 then
    local only, names = {}, {}
    for i, name in ipairs(chosen) do only[name], names[i] = true, name end
    return only, names
  end
  local names = {}
  for i, stem in ipairs(asked.stems) do names[i] = stem.name and stem.name ~= "" and stem.name or stem.role end
  return nil, names
end

-- Posts the request as soon as there is an engine to take it.
function job:hold()
  if self.held and self.ticks % HEART_EVERY ~= 0 then return end
  local engine, why = self.box:engine()
  local mismatch = engine and self.files.mismatch(engine, self.version.protocol, UPDATE)
  if mismatch then return self:fail(mismatch) end
  if not engine then
    if not self.held then
      self:say("warning", why .. "\nThe request is kept: the band begins when the engine is there.")
    end
    self.held = true
    return
  end
  local text = self.request_text or self.files.read(self.record.asked)
  if not text then return self:fail("The request " .. self.record.asked .. " is gone. Ask again.") end
  local token = self.use("json").encode(engine.token)
  local ok, trouble = pcall(self.box.post, self.box, self.record.job, '{"token":' .. token .. "," .. text:sub(2))
  if not ok then return self:fail("The request could not be sent: " .. tostring(trouble)) end
  self.held, self.request_text = false, nil
  self.record.sent = (self.record.sent or 0) + 1
  self:go("waiting")
  local note = self.note and " " .. self.note or ""
  local other = self.files.other_version(engine, self.version.version, UPDATE)
  if other then note = note .. "\n" .. other end
  self:say("info", string.format("%s: the band was asked (seed %d).%s", self.record.title, self.record.seed, note))
end

-- One look into the mailbox, one slice of preparing, or one landing.
function job:wait()
  if self.ticks % LOOK_EVERY == 0 then self:project() end
  if #self.todo > 0 then return self:land_next() end
  if self:take_stem() then return end
  if self.ticks % LOOK_EVERY == 0 then
    local result, damaged = self.box:result(self.record.job)
    if damaged then result = { type = "failed", message = "The engine's answer cannot be read." } end
    -- The stems were there before the result: one more look, so that the last one is not lost.
    if result and not self:take_stem() then return self:finish(result) end
    if not result then self:show_progress() end
  end
  if self.ticks % HEART_EVERY == 0 then self:listen_to_heart() end
end

local NUMBERS = { "take", "start_sample", "start_beat", "samples", "sample_rate" }
local TEXTS = { "stem", "role", "wav", "midi" }

-- Whether an event is a stem that can be placed: the engine is another program.
local function is_whole(event)
  for _, name in ipairs(NUMBERS) do
    if type(event[name]) ~= "number" then return false end
  end
  for _, name in ipairs(TEXTS) do
    if type(event[name]) ~= "string" then return false end
  end
  return event.samples > 0 and event.sample_rate > 0 and event.take >= 1
end

function job:take_stem()
  local event, damaged = self.box:stem(self.record.job, self.next_stem)
  if not event and not damaged then return false end
  self.next_stem = self.next_stem + 1
  if not event or not is_whole(event) then
    self:say("warning", "The engine announced a stem in words that this script does not know; it was left out.")
    return true
  end
  for _, name in ipairs(NUMBERS) do event[name] = math.tointeger(event[name]) or event[name] end
  if not self.record.only or self.record.only[event.stem] then self.todo[#self.todo + 1] = { event = event } end
  return true
end

function job:names_of(event)
  return {
    audio = self.tags.landing(self.record.job, event.take, "audio", event.stem),
    midi = self.tags.landing(self.record.job, event.take, "midi", event.stem),
  }
end

-- Why nothing can land now, or nil and the project.
function job:obstacle()
  local proj, path = self:project()
  if not proj then return "The project is closed; what is ready lands when it is opened again." end
  if path ~= self.record.project.path then
    self.record.project.path = path
    self.host.save()
  end
  local why = self.host.ready(proj)
  if why then return why end
  return nil, proj
end

function job:land_next()
  local task = self.todo[1]
  local why, proj = self:obstacle()
  if why then
    self.text = string.format("%s is ready. %s", task.event.stem, why)
    return self:give_up_while_closed()
  end
  self.landed = self.landed or self.host.landed(proj, self.record.job)
  task.names = task.names or self:names_of(task.event)
  if self.landed[task.names.audio] then
    table.remove(self.todo, 1)
    self.count = self.count + 1
    self.shown[task.event.stem] = "landed"
    return
  end
  if not task.ready then return self:prepare(task, proj) end
  table.remove(self.todo, 1)
  self:land(task, proj)
end

-- A job that failed meanwhile takes its files away: there is no point in waiting for the project.
function job:give_up_while_closed()
  if self.ticks % HEART_EVERY ~= 0 then return end
  local result = self.box:result(self.record.job)
  if result and result.type ~= "done" then self:finish(result) end
end

function job:prepare(task, proj)
  self.work = self.work or self.slices.new(function(pause)
    local midi, problem = self.host.prepare(proj, task.event, pause)
    return { midi = midi, problem = problem }
  end, self.host.now, SLICE)
  local ok, done, made = pcall(self.work.step, self.work)
  if ok and not done then return end
  self.work = nil
  task.ready = true
  task.midi = ok and made.midi or nil
  task.trouble = not ok and tostring(done) or made and made.problem
end

function job:land(task, proj)
  local record = self.record
  task.band, task.activate = record.band, record.activate
  self.landed[task.names.audio] = true
  local problem = self.host.place(proj, { task }, record)
  if problem then return self:tell_problem(task, problem) end
  self.count = self.count + 1
  self.shown[task.event.stem] = "landed"
  self.placed[#self.placed + 1] = task
  if task.trouble then self:say("warning", task.event.stem .. " has no notes: " .. task.trouble) end
end

-- Of a job that failed or was cancelled the engine takes the files away: then that is the news.
function job:tell_problem(task, problem)
  local result = self.box:result(self.record.job)
  if result and result.type ~= "done" then return self:finish(result) end
  self.shown[task.event.stem] = "problem"
  self.broken = true
  self:say("error", problem)
end

function job:show_progress()
  local event = self.box:progress(self.record.job)
  if not event or type(event.stage) ~= "string" then return end
  self.stage = event.stage
  self.fraction = math.max(0, math.min(1, tonumber(event.fraction) or 0))
  local eta = tonumber(event.eta)
  self.text = string.format("%s: %.0f %%%s", event.stage, 100 * self.fraction,
    eta and string.format(", %.0f s left", eta) or "")
  if type(event.note) == "string" and event.note ~= "" then self.text = self.text .. "\n" .. event.note end
end

function job:listen_to_heart()
  local engine, why = self.box:engine()
  if not engine and not self.silent then
    self:say("warning", "The engine has stopped answering in the middle of a job. " .. why)
  end
  self.silent = not engine
end

local function stems(count) return count == 1 and "1 stem" or count .. " stems" end

local function result_text(result, count)
  if result.type == "done" then
    local text = stems(count) .. " landed."
    for _, warning in ipairs(type(result.warnings) == "table" and result.warnings or {}) do
      text = text .. "\n" .. tostring(warning)
    end
    return "done", text
  end
  local kind, text = "info", "Cancelled."
  if result.type ~= "cancelled" then
    kind, text = "error", tostring(result.message or "The job failed.")
    if type(result.hint) == "string" and result.hint ~= "" then text = text .. "\n" .. result.hint end
  end
  if count > 0 then text = text .. "\nWhat had landed before stays: " .. stems(count) .. "." end
  return kind, text
end

function job:finish(result)
  if LOST[result.code] and (self.record.sent or 0) < MOST_SENDS then return self:go("holding") end
  local proj = self:project()
  if not proj and result.type == "done" then
    self.text = "Done. The project is closed; it is noted when it is opened again."
    return
  end
  if proj and (result.type == "done" or self.count > 0) then self.host.finish(proj, self.record, result) end
  local kind, text = result_text(result, self.count)
  self.box:gone(self.record.job)
  self.fraction = result.type == "done" and 1 or self.fraction
  self:say(kind, self.record.title .. ": " .. text)
  self:go(#self.placed > 1 and not self.broken and "uniting" or "over")
end

-- While the transport runs nothing is taken off the tracks, not even to be put back at once.
function job:unite()
  if self.ticks % STILL_EVERY ~= 0 then return end
  local why, proj = self:obstacle()
  if why and not self:project() then return self:go("over") end
  if why or self.host.playing(proj) then return end
  self.host.unite(proj, self.placed, self.record)
  self:go("over")
end

-- Stops the job; what had landed stays. Asked a second time, it waits for the engine no longer.
function job:cancel()
  local state = self.record.state
  if state == "over" or state == "uniting" then return end
  if state == "reading" then self.work:stop() end
  if state ~= "waiting" or self.box:take_back(self.record.job) then
    self:say("info", self.record.title .. ": cancelled before the band began.")
    return self:go("over")
  end
  if self.cancelling or not self.box:engine() then
    self:say("warning", self.record.title .. ": the engine does not answer; the job was given up here.")
    return self:go("over")
  end
  self.cancelling = true
  self.box:cancel(self.record.job)
  self:say("info", self.record.title .. ": cancelling ...")
end

return job
