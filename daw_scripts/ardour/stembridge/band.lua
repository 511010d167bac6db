-- One job from the user's wish to the tracks, a small step each tick. The DAW is behind `host`, the engine behind
-- `box` (the mailbox), so that this runs and is tested without either.
--
-- States: idle -> describing (reading the session in slices) -> waiting (for stems and the end of the job) -> idle.

local band = {}
band.__index = band

local SLICE_US = 1000 -- of describing per tick
local LOOK_EVERY = 3 -- ticks between looks at progress and result
local HEART_EVERY = 50 -- ticks between looks at the engine's heartbeat
local STALE_ASK = 60 -- seconds after which a wish is no longer one

-- `use` gives the modules; `host` does what touches the DAW:
--   folder            <session>/stembridge
--   now_us()          a clock in microseconds;  now() seconds since 1970
--   random(n)         n random bytes
--   describe(job)     steps (functions, true while they want to be called again) and the table they fill
--   landed(job)       set of the landing names that are on tracks already
--   recording()       whether the user is recording: then nothing is imported
--   place(stem, kind, landing)  puts a stem's "audio" or "midi" on a new track; nil or what is wrong with it
--   finish()          saves the session
--   say(kind, text)   tells the user: "info", "done", "warning", "error"
function band.new(use, box, host)
  local self = setmetatable({
    json = use("json"), files = use("mailbox"), request = use("request"),
    box = box, host = host, state = "idle", ticks = 0, slowest_us = 0, status = {},
  }, band)
  self:resume()
  return self
end

function band:path(name)
  return self.host.folder .. "/" .. name
end

-- What is known now, in a file: for the action that shows progress, and for whoever looks for a fault.
function band:report(change)
  for name, value in pairs(change) do self.status[name] = value end
  self.status.state, self.status.job, self.status.slowest_tick_us = self.state, self.job or "", self.slowest_us
  self.status.time = self.host.now()
  pcall(self.files.write, self:path("status.json"), self.json.encode(self.status))
end

function band:say(kind, text)
  self:report({ kind = kind, text = text })
  self.host.say(kind, text)
end

function band:go_idle()
  self.state, self.job, self.steps, self.todo, self.song = "idle", nil, nil, nil, nil
  os.remove(self:path("running.json"))
end

-- Goes on with a job that was under way when the session was closed.
function band:resume()
  local running = self.box:object(self:path("running.json"))
  local job = running and running.job
  if type(job) ~= "string" then return end
  if self.box:accepted(job) or self.box:result(job) then
    self:wait_for(job)
    self:report({ kind = "info", text = "Waiting for the band that was asked before." })
  else
    os.remove(self:path("running.json"))
  end
end

function band:wait_for(job)
  self.state, self.job, self.todo = "waiting", job, {}
  self.next_stem, self.count, self.silent = 1, 0, false
  self.landed = self.host.landed(job)
end

-- One tick. Returns true when Ardour imported or saved in it: such a tick takes as long as Ardour takes.
function band:tick()
  self.ticks = self.ticks + 1
  local wish = self:read_wish()
  if wish then self:obey(wish) end
  local from, long = self.host.now_us(), false
  if self.state == "describing" then
    self:describe()
  elseif self.state == "waiting" then
    long = self:wait()
  end
  if not long then self.slowest_us = math.max(self.slowest_us, self.host.now_us() - from) end
  return long
end

function band:read_wish()
  local path = self:path("ask.json")
  local wish = self.box:object(path)
  if not wish then return nil end
  os.remove(path)
  if self.host.now() - (tonumber(wish.time) or 0) > STALE_ASK then return nil end
  return wish
end

function band:obey(wish)
  if wish.ask == "generate" then
    self:start(self.request.settings(wish.settings))
  elseif wish.ask == "cancel" then
    self:cancel()
  end
end

function band:start(settings)
  if self.state ~= "idle" then
    -- No window: the action has said so already, and this one came in between.
    return self.host.say("info", "The band is still playing; this wish is not kept. Wait, or use 'stembridge: Cancel'.")
  end
  local engine, why = self.box:engine()
  if not engine then return self:say("error", why) end
  self.job, self.state, self.settings = self.request.bytes2job(self.host.random(16)), "describing", settings
  self.steps, self.song = self.host.describe(self.job)
  self:report({ kind = "info", text = "Reading the session ...", fraction = 0, stems = 0 })
end

function band:describe()
  local until_us = self.host.now_us() + SLICE_US
  repeat
    local step = self.steps[1]
    local ok, again = pcall(step)
    if not ok then
      self:go_idle()
      return self:say("error", tostring(again))
    end
    if not again then table.remove(self.steps, 1) end
    if #self.steps == 0 then return self:post() end
  until self.host.now_us() >= until_us
end

function band:post()
  local engine, why = self.box:engine()
  local job, song, settings = self.job, self.song, self.settings
  local seed = settings.seed > 0 and settings.seed or self.request.bytes2seed(self.host.random(4))
  local posted, trouble = pcall(function()
    if not engine then error(why, 0) end
    local text = self.json.encode(self.request.build(self.json, job, engine.token, song, settings, seed))
    self.files.write(self:path("running.json"), self.json.encode({ job = job }))
    self.box:post(job, text)
  end)
  if not posted then
    self:go_idle()
    return self:say("error", "The request could not be sent: " .. tostring(trouble))
  end
  self:wait_for(job)
  self:say("info", string.format("The band was asked for %d sections (seed %d).", #song.sections, seed))
end

-- One look into the mailbox or one import. Returns true where Ardour imported or saved.
function band:wait()
  if #self.todo > 0 then
    if self.host.recording() then return false end
    local task = table.remove(self.todo, 1)
    local problem = self:land(task)
    if problem then self:tell_problem(task, problem) end
    return true
  end
  if self:take_stem() then return false end
  if self.ticks % LOOK_EVERY == 0 then
    local result = self.box:result(self.job)
    -- The stems were there before the result: one more look, so that the last one is not lost.
    if result and not self:take_stem() then
      self:finish(result)
      return true
    elseif not result then
      self:show_progress()
    end
  end
  if self.state == "waiting" and self.ticks % HEART_EVERY == 0 then self:listen_to_heart() end
  return false
end

function band:take_stem()
  local stem = self.box:stem(self.job, self.next_stem)
  if not stem then return false end
  self.next_stem = self.next_stem + 1
  self.todo[#self.todo + 1] = { stem = stem, kind = "audio" }
  self.todo[#self.todo + 1] = { stem = stem, kind = "midi" }
  return true
end

function band.stems(count)
  return count == 1 and "1 stem" or count .. " stems"
end

-- The name under which a stem's material is known on its track: kept in the track's comment.
function band.landing(stem, kind)
  return string.format("stembridge %s take-%d %s %s", stem.job, stem.take, kind, stem.stem)
end

-- Puts a stem's audio or MIDI on its track. Returns nil, or what went wrong.
function band:land(task)
  local stem, kind = task.stem, task.kind
  local name = band.landing(stem, kind)
  if self.landed[name] then return nil end
  self.landed[name] = true
  local done, problem = pcall(self.host.place, stem, kind, name)
  if not done or problem then return tostring(problem) end
  if kind == "audio" then
    self.count = self.count + 1
    self:report({ kind = "info", text = string.format("%s is on its track.", stem.stem), stems = self.count })
  end
end

-- Of a job that failed or was cancelled the engine takes the files away: then that is the news.
function band:tell_problem(task, problem)
  local result = self.box:result(self.job)
  if result and result.type ~= "done" then return self:finish(result) end
  self:say("error", string.format("%s (%s): %s", task.stem.stem, task.kind, problem))
end

function band:show_progress()
  local event = self.box:progress(self.job)
  if not event or type(event.stage) ~= "string" then return end
  local fraction, eta = tonumber(event.fraction) or 0, tonumber(event.eta)
  local left = eta and string.format(", %.0f s left", eta) or ""
  local text = string.format("%s: %.0f %%%s", event.stage, 100 * fraction, left)
  if event.note and event.note ~= "" then text = text .. "\n" .. tostring(event.note) end
  if text == self.status.text then return end
  if event.stage ~= self.stage then
    self.stage = event.stage
    self.host.say("info", text)
  end
  self:report({ kind = "info", text = text, fraction = fraction })
end

function band:listen_to_heart()
  local engine, why = self.box:engine()
  if not engine and not self.silent then
    self:say("warning", "The engine has stopped answering in the middle of a job. " .. why)
  end
  self.silent = not engine
end

function band:finish(result)
  local job, count, kind, text = self.job, self.count, nil, nil
  if result.type == "done" then
    kind, text = "done", "The band has played: " .. band.stems(count) .. " landed."
    for _, warning in ipairs(type(result.warnings) == "table" and result.warnings or {}) do
      text = text .. "\n" .. tostring(warning)
    end
  elseif result.type == "cancelled" then
    kind, text = "info", "Cancelled."
  else
    kind, text = "error", tostring(result.message or "The job failed.")
    if result.hint and result.hint ~= "" then text = text .. "\n" .. tostring(result.hint) end
  end
  if count > 0 then
    if kind ~= "done" then text = text .. "\nWhat had landed before stays: " .. band.stems(count) .. "." end
    local saved, why = pcall(self.host.finish)
    if not saved then text = text .. "\nThe session could not be saved: " .. tostring(why) end
  end
  self.box:gone(job)
  self.stage = nil
  self:go_idle()
  self:say(kind, text)
end

function band:cancel()
  if self.state == "idle" then return self:say("info", "Nothing is running.") end
  if self.state == "describing" or self.box:take_back(self.job) then
    self:go_idle()
    return self:say("info", "Cancelled before the band began.")
  end
  if not self.box:engine() then
    self:go_idle()
    return self:say("warning", "The engine does not answer; the job was given up here.")
  end
  self.box:cancel(self.job)
  self:report({ kind = "info", text = "Cancelling ..." })
end

return band
