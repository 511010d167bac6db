-- One job from the user's wish to the tracks, a small step each tick. The DAW is behind `host`, the engine behind
-- `box` (the mailbox), so that this runs and is tested without either.
--
-- States: idle -> describing (reading the session in slices) -> waiting (for stems and the end of the job) -> idle.
-- An engine that was restarted is known by its new token: the request is sent again under the same job id, which an
-- engine takes up where it stands, and stems that have landed do not land twice.

local band = {}
band.__index = band

local SLICE_US = 4000 -- of describing per tick
local LOOK_EVERY = 3 -- ticks between looks at progress and result
local HEART_EVERY = 20 -- ticks between looks at the engine's heartbeat
local STALE_ASK = 60 -- seconds after which a wish is no longer one
local MOST_SENDINGS = 5 -- of one request: one that ends every engine is not sent for ever

-- `use` gives the modules; `host` does what touches the DAW:
--   folder            <session>/stembridge
--   now_us()          a clock in microseconds;  now() seconds since 1970
--   random(n)         n random bytes
--   describe(job, wish, base)  steps (functions, true while they want to be called again) and the table they fill;
--                     `base` is what was asked for the take that the wish is about, or nil
--   landed(job)       landings {job, take, kind, stem} that are on tracks already
--   recording()       whether the user is recording: then nothing is imported
--   place(stem, landing, is_kin)  puts a stem's audio or MIDI on its track; nil or what is wrong with it
--   renumber(job, old, new)  a take on the tracks has another number now
--   finish(title)     saves the session and makes an undo step of that name
--   say(kind, text)   tells the user: "info", "done", "warning", "error"
function band.new(use, box, host)
  local self = setmetatable({
    json = use("json"), files = use("mailbox"), request = use("request"), asking = use("asking"), verbs = use("verbs"),
    ledger = use("ledger").open(host.folder, use("mailbox"), use("json")), version = use("version"),
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

band.UPDATE = "stembridge install ardour, then restart Ardour"

-- The engine that can be asked, or nil and what to tell the user.
function band:engine()
  local engine, why = self.box:engine()
  why = why or self.files.mismatch(engine, self.version.protocol, band.UPDATE)
  if why then return nil, why end
  return engine
end

function band:go_idle()
  self.state, self.job, self.steps, self.todo, self.song, self.wish, self.base = "idle", nil, nil, nil, nil, nil, nil
  os.remove(self:path("running.json"))
end

-- Goes on with a job that was under way when the session was closed.
function band:resume()
  local running = self.box:object(self:path("running.json"))
  local job = running and running.job
  if type(job) ~= "string" then return end
  if self.box:accepted(job) or self.box:result(job) then
    self:wait_for(job, running.ask, nil, running.pid)
    self:report({ kind = "info", text = "Waiting for the band that was asked before." })
  else
    self.box:take_back(job)
    os.remove(self:path("running.json"))
  end
end

-- `ask`: the verb. `token` and `pid`: the engine's that has the request; the token is nil where the script was started
-- after it was sent, for it is kept nowhere.
function band:wait_for(job, ask, token, pid)
  local record = self.ledger:read(job)
  self.state, self.job, self.todo = "waiting", job, {}
  self.title = "stembridge: " .. (self.verbs.TITLES[ask] or self.verbs.TITLES.generate)
  self.token, self.pid, self.sendings = token, pid, 1
  self.next_stem, self.count, self.silent = 1, 0, false
  self.takes, self.stems_wanted = 1, nil
  if record then
    self.takes = record.request.takes or 1
    local scope = record.request.scope
    if scope and scope.stems and #scope.stems > 0 then
      self.stems_wanted = {}
      for _, name in ipairs(scope.stems) do self.stems_wanted[name] = true end
    end
  end
  local root, known = self.ledger:root(job), {}
  self.is_kin = function(other)
    if known[other] == nil then known[other] = self.ledger:root(other) == root end
    return known[other]
  end
  self.landed = {}
  for _, landing in ipairs(self.host.landed(job)) do self.landed[self:slot(landing)] = landing end
end

-- What may land once: a stem's audio or MIDI of a take. A request for one take has one, whatever its number: an engine
-- that was restarted may have given it another.
function band:slot(landing)
  return string.format("%d %s %s", self.takes > 1 and landing.take or 1, landing.kind, landing.stem)
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
  if wish.ask == "cancel" then
    self:cancel()
  elseif type(wish.ask) == "string" and self.asking.knows(wish.ask) then
    self:start(wish)
  end
end

function band:start(wish)
  if self.state ~= "idle" then
    -- No window: the action has said so already, and this one came in between.
    return self.host.say("info", "The band is still playing; this wish is not kept. Wait, or use 'stembridge: Cancel'.")
  end
  local engine, why = self:engine()
  if not engine then return self:say("error", why) end
  local record
  if wish.take then
    record = self.ledger:read(self.ledger.take2job(wish.take))
    if not record then
      return self:say("error", "It is not known any more how that take was asked for. Generate a new one.")
    end
  end
  self.wish, self.base = wish, record and record.request
  self.job, self.state = self.request.bytes2job(self.host.random(16)), "describing"
  self.steps, self.song = self.host.describe(self.job, wish, self.base)
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
  local engine, why = self:engine()
  local job, wish, text = self.job, self.wish, nil
  local posted, trouble = pcall(function()
    if not engine then error(why, 0) end
    local asked
    asked, text = self.asking.build(wish, self.base, job, self.song, self.host.random)
    self.ledger:keep(job, asked, wish.take)
    self.files.write(self:path("running.json"), self.json.encode({ job = job, ask = wish.ask, pid = engine.pid }))
    asked.token = engine.token
    self.box:post(job, self.json.encode(asked))
  end)
  if not posted then
    self:go_idle()
    return self:say("error", "The request could not be sent: " .. tostring(trouble))
  end
  self:wait_for(job, wish.ask, engine.token, engine.pid)
  local other = self.files.other_version(engine, self.version.version, band.UPDATE)
  self:say("info", other and text .. "\n" .. other or text)
end

-- The same request for an engine that was restarted: it takes up what it still knows, or begins anew.
function band:send_again(engine)
  local record = self.ledger:read(self.job)
  local sent, trouble = pcall(function()
    if not record then error("it is not known any more what was asked", 0) end
    if self.sendings >= MOST_SENDINGS then error("the engine was ended too often in the middle of it", 0) end
    local mismatch = self.files.mismatch(engine, self.version.protocol, band.UPDATE)
    if mismatch then error(mismatch, 0) end
    record.request.token = engine.token
    local kept = self.box:object(self:path("running.json")) or {}
    self.files.write(self:path("running.json"), self.json.encode({ job = self.job, ask = kept.ask, pid = engine.pid }))
    self.box:forget_result(self.job)
    self.box:post(self.job, self.json.encode(record.request))
  end)
  if not sent then
    self:go_idle()
    return self:say("error", "The engine was restarted and could not be asked again: " .. tostring(trouble))
  end
  self.token, self.sendings, self.next_stem, self.silent = engine.token, self.sendings + 1, 1, false
  self:say("info", "The engine was restarted; the band goes on.")
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
  if self.ticks % HEART_EVERY == 0 and self:listen_to_heart() then return false end
  -- What lies in the box before the engine has taken a request is of an engine before it.
  if self.sendings > 1 and self.box:is_posted(self.job) then return false end
  if self:take_stem() then return false end
  if self.ticks % LOOK_EVERY == 0 then
    local result = self.box:result(self.job)
    -- The stems were there before the result: one more look, so that the last one is not lost.
    if result and not self:take_stem() then
      if result.type == "failed" and self:listen_to_heart() then return false end
      self:finish(result)
      return true
    elseif not result then
      self:show_progress()
    end
  end
  return false
end

local function is_stem(event)
  return event and type(event.stem) == "string" and type(event.wav) == "string" and type(event.midi) == "string"
    and math.tointeger(event.take) and math.tointeger(event.start_sample) and math.tointeger(event.samples)
    and type(event.start_beat) == "number"
end

-- Of an edit the engine tells all stems, those that it left as they were, too: these are on their tracks already.
function band:take_stem()
  local stem = self.box:stem(self.job, self.next_stem)
  if not stem and not self.box:is_damaged_stem(self.job, self.next_stem) then return false end
  self.next_stem = self.next_stem + 1
  if not is_stem(stem) then
    self:say("error", "The engine has told of a stem in a way that cannot be read. 'stembridge doctor' says more.")
    return true
  end
  if not self.stems_wanted or self.stems_wanted[stem.stem] then
    self.todo[#self.todo + 1] = { stem = stem, kind = "audio" }
    self.todo[#self.todo + 1] = { stem = stem, kind = "midi" }
  end
  return true
end

function band.stems(count)
  return count == 1 and "1 stem" or count .. " stems"
end

-- Puts a stem's audio or MIDI on its track. Returns nil, or what went wrong.
function band:land(task)
  local stem = task.stem
  local landing = { job = self.job, take = math.tointeger(stem.take), kind = task.kind, stem = stem.stem }
  local slot = self:slot(landing)
  local earlier = self.landed[slot]
  if earlier then
    if earlier.take ~= landing.take then self.host.renumber(self.job, earlier.take, landing.take) end
    earlier.take = landing.take
    return nil
  end
  self.landed[slot] = landing
  local done, problem = pcall(self.host.place, stem, landing, self.is_kin)
  if not done or problem then return tostring(problem) end
  if task.kind == "audio" then
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

-- Looks whether the engine lives and is the one that was asked. True when the request had to be sent again.
function band:listen_to_heart()
  local engine, why = self.box:engine()
  if not engine then
    if not self.silent then
      self:say("warning", "The engine has stopped answering in the middle of a job. " .. why
        .. "\nThe band goes on when it is back.")
    end
    self.silent = true
    return false
  end
  self.silent = false
  local is_same = self.token == engine.token or (not self.token and self.pid == engine.pid)
  if not is_same then
    self:send_again(engine)
    return true
  end
  self.token = engine.token
  return false
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
    local saved, why = pcall(self.host.finish, self.title)
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
