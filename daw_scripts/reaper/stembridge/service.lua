-- What works in the background: takes wishes, moves each job on a step per tick, and publishes what is known. One
-- instance at a time, whichever action started it; it ends by itself when nothing is left to do.
--
-- ExtState "stembridge" (not kept by REAPER):
--   alive   time of the last tick        owner   which instance may work
--   wishes  number of the last wish      wish:n  a wish as JSON {verb, project, ...}
--   status  what the window shows, as JSON

return function(use)
  local describe, job, json, mailbox = use("describe"), use("job"), use("json"), use("mailbox")
  local own, place, projects = use("own"), use("place"), use("projects")
  local request, settings_of, verbs = use("request"), use("settings"), use("verbs")

  local service = {}
  local SECTION = projects.SECTION
  local LOOK_EVERY = 10 -- ticks between looks at the open projects and at what is shown
  local IDLE_SECONDS = 3
  local MOST_MESSAGES = 30
  local KEPT_DAYS = 7 -- as long as the engine keeps a result that nobody fetches

  local function get(key) return reaper.GetExtState(SECTION, key) end

  local function set(key, value) reaper.SetExtState(SECTION, key, value, false) end

  local function random(count)
    local made = {}
    for i = 1, count do made[i] = string.char(math.random(0, 255)) end
    return table.concat(made)
  end

  -- Ids and seeds need to differ, not to be secret.
  local function seed_random()
    local address = tostring({}):match("0x(%x+)") or "0"
    math.randomseed(math.floor(os.time() * 1000 + reaper.time_precise() * 1e6) ~ (tonumber(address, 16) or 0))
  end

  local Service = {}
  Service.__index = Service

  function service.new()
    seed_random()
    local data = projects.data()
    local self = setmetatable({
      box = mailbox.open(data, json, os.time), path = data .. "/reaper/running.json",
      jobs = {}, messages = {}, steps = {},
      ticks = 0, id = reaper.genGuid(""), done_wish = tonumber(get("done")) or 0, busy_until = reaper.time_precise(),
    }, Service)
    reaper.RecursiveCreateDirectory(data .. "/reaper", 0)
    local ok, former = pcall(json.decode, get("status"))
    if ok and type(former) == "table" and type(former.messages) == "table" then self.messages = former.messages end
    self.host = self:make_host()
    self:take_up()
    set("owner", self.id)
    set("alive", tostring(reaper.time_precise()))
    return self
  end

  -- Landing names that are on tracks, or were put there before: what the user has removed does not come back.
  local function landed(proj, name)
    local names = own.landed(proj)
    for _, one in ipairs(projects.object(proj, "landed:" .. name) or {}) do names[one] = true end
    return names
  end

  local function note_landed(proj, name, tasks)
    local names = projects.object(proj, "landed:" .. name) or json.array()
    local seen = {}
    for _, one in ipairs(names) do seen[one] = true end
    for _, task in ipairs(tasks) do
      if not seen[task.names.audio] then names[#names + 1] = task.names.audio end
    end
    projects.set(proj, "landed:" .. name, json.encode(names))
  end

  local function ready(proj)
    if reaper.GetPlayStateEx(proj) & 4 ~= 0 then return "It lands when the recording is over." end
    if not place.can_add(proj) then return "It lands when the project's tab is in front again." end
    return nil
  end

  local function finish(proj, record, result)
    projects.set(proj, "landed:" .. record.job, "")
    if result.type ~= "done" then return end
    local takes = {}
    for _, manifest in ipairs(type(result.manifests) == "table" and result.manifests or {}) do
      takes[#takes + 1] = tonumber(tostring(manifest):match("take%-(%d+)[/\\][^/\\]*$"))
    end
    if #takes == 0 then takes[1] = 1 end
    for _, number in ipairs(takes) do
      projects.add_take(proj, string.format("%s/take-%d", record.job, number), record.band, record.asked)
    end
  end

  function Service:make_host()
    return {
      now = reaper.time_precise,
      save = function() self:save() end,
      say = function(one, kind, text) self:say(kind, text, one.record.project.id) end,
      find = projects.find,
      landed = landed,
      ready = ready,
      prepare = function(proj, event, pause) return place.prepare(proj, event, mailbox.read, pause) end,
      place = function(proj, tasks, record)
        note_landed(proj, record.job, tasks)
        local steps = self:steps_of(record)
        steps[#steps + 1] = record.job
        return place.stems(proj, tasks, "stembridge: " .. record.title)
      end,
      unite = function(proj, tasks, record) self:unite(proj, tasks, record) end,
      finish = finish,
      playing = function(proj) return reaper.GetPlayStateEx(proj) & 1 ~= 0 end,
    }
  end

  -- The project's landings since this service began, as the ids of their jobs, in order.
  function Service:steps_of(record)
    local id = record.project.id
    self.steps[id] = self.steps[id] or {}
    return self.steps[id]
  end

  -- Makes one undo step of a job's landings, unless another job's came after the first of them.
  function Service:unite(proj, tasks, record)
    local steps = self:steps_of(record)
    for i = #steps - #tasks + 1, #steps do
      if steps[i] ~= record.job then return end
    end
    if not place.unite(proj, tasks, "stembridge: " .. record.title) then return end
    for _ = 2, #tasks do table.remove(steps) end
  end

  -- Jobs that were under way when REAPER, or this script, was closed.
  function Service:take_up()
    local kept = self.box:object(self.path) or {}
    for _, record in ipairs(kept) do
      local fresh = os.time() - (tonumber(record.time) or 0) < KEPT_DAYS * 86400
      if fresh and type(record.job) == "string" and (record.state == "holding" or record.state == "waiting") then
        self.jobs[#self.jobs + 1] = job.new(use, record, self.box, self.host)
      end
    end
  end

  -- Keeps the records of the jobs that a restart must find again.
  function Service:save()
    local kept = json.array()
    for _, one in ipairs(self.jobs) do
      local state = one.record.state
      if state == "holding" or state == "waiting" then kept[#kept + 1] = one.record end
    end
    local ok, why = pcall(mailbox.write, self.path, json.encode(kept))
    if not ok then self:say("error", "What is under way cannot be kept: " .. tostring(why)) end
  end

  -- Tells the user: the window shows it; without a window, REAPER's help line under the tracks does, and what needs the
  -- user goes to its console.
  function Service:say(kind, text, project)
    self.messages[#self.messages + 1] = { kind = kind, text = text, project = project or "", time = os.time() }
    while #self.messages > MOST_MESSAGES do table.remove(self.messages, 1) end
    local window = tonumber(get("window"))
    local watched = window and reaper.time_precise() - window < 2
    if not watched then
      reaper.Help_Set("stembridge: " .. text:gsub("%c+", " "), false)
      if kind == "error" or kind == "warning" then reaper.ShowConsoleMsg("stembridge: " .. text .. "\n") end
    end
    self.told = nil
  end

  function Service:job_of(project)
    for _, one in ipairs(self.jobs) do
      local state = one.record.state
      if one.record.project.id == project and state ~= "uniting" and state ~= "over" then return one end
    end
    return nil
  end

  function Service:start(wish, proj, path)
    local title = verbs.TITLES[wish.verb]
    local running = self:job_of(wish.project)
    if running then
      return self:say("warning", running.record.title .. " is still under way. Wait, or use 'stembridge: Cancel'.",
        wish.project)
    end
    local settings = settings_of.read(projects.object(proj, "settings"))
    local name = request.bytes2job(random(16))
    wish.job, wish.settings = name, settings
    wish.seed = settings.seed > 0 and wish.verb ~= "reroll" and settings.seed or request.bytes2seed(random(4))
    local record = {
      job = name, verb = wish.verb, title = title, time = os.time(), state = "reading",
      project = { id = wish.project, path = path },
    }
    local one = job.new(use, record, self.box, self.host)
    one:read(function(pause) return describe.request(proj, path, wish.project, wish, pause) end, proj)
    self.jobs[#self.jobs + 1] = one
  end

  -- Stops the project's job; where it has none, the jobs whose projects are closed.
  function Service:cancel(project)
    local running = self:job_of(project)
    if running then return running:cancel() end
    local stopped = 0
    for _, one in ipairs(self.jobs) do
      if not projects.find(one.record.project) then
        one:cancel()
        stopped = stopped + 1
      end
    end
    if stopped == 0 then self:say("info", "Nothing is running in this project.", project) end
  end

  function Service:obey(wish)
    local proj, path = projects.find({ id = wish.project, path = wish.path })
    if not proj then return end
    if wish.verb == "cancel" then return self:cancel(wish.project) end
    if verbs.TITLES[wish.verb] then self:start(wish, proj, path) end
  end

  function Service:take_wishes()
    local last = tonumber(get("wishes")) or 0
    while self.done_wish < last do
      self.done_wish = self.done_wish + 1
      local key = "wish:" .. self.done_wish
      local ok, wish = pcall(json.decode, get(key))
      reaper.DeleteExtState(SECTION, key, false)
      set("done", tostring(self.done_wish))
      if ok and type(wish) == "table" then self:obey(wish) end
    end
  end

  -- One job a tick, in turn: each has a share of its own.
  function Service:move_on()
    if #self.jobs == 0 then return end
    self.turn = (self.turn or 0) % #self.jobs + 1
    local one = self.jobs[self.turn]
    local ok, trouble = pcall(one.tick, one)
    if not ok then one:fail("stembridge stumbled over its own feet: " .. tostring(trouble)) end
    if one:is_over() then table.remove(self.jobs, self.turn) end
  end

  function Service:status()
    local jobs = json.array()
    for i, one in ipairs(self.jobs) do
      local stems = json.array()
      for k, name in ipairs(one.record.stems or {}) do
        stems[k] = { name = name, state = one.shown[name] or "waiting" }
      end
      jobs[i] = {
        job = one.record.job, title = one.record.title, project = one.record.project.id, state = one.record.state,
        fraction = one.fraction, stage = one.stage, text = one.text, stems = stems,
      }
    end
    return { jobs = jobs, messages = json.array(self.messages) }
  end

  function Service:publish()
    local text = json.encode(self:status())
    if text ~= self.told then
      set("status", text)
      self.told = text
    end
  end

  -- One tick; false when this instance is to end.
  function Service:tick()
    if get("owner") ~= self.id then return false end
    local now = reaper.time_precise()
    self.ticks = self.ticks + 1
    set("alive", tostring(now))
    self:take_wishes()
    self:move_on()
    if self.ticks % LOOK_EVERY == 0 or #self.jobs == 0 then self:publish() end
    if #self.jobs > 0 then self.busy_until = now + IDLE_SECONDS end
    return now < self.busy_until
  end

  -- What REAPER calls when the script ends.
  function Service:close()
    for _, one in ipairs(self.jobs) do
      if one.record.state == "reading" then one:cancel() end
    end
    if get("owner") ~= self.id then return end -- another instance has taken over, jobs and all
    self:save()
    self:publish()
    reaper.DeleteExtState(SECTION, "alive", false)
  end

  return service
end
