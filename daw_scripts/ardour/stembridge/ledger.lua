-- What was asked in this session, job by job, in <session>/stembridge/asked: for sending a request again, and for
-- working on a take that it made. Plain Lua.

local ledger = {}
ledger.__index = ledger

local DEEPEST = 10000 -- takes that follow from each other

-- `folder`: <session>/stembridge. `files`: the module `mailbox`.
function ledger.open(folder, files, json)
  return setmetatable({ folder = folder .. "/asked", files = files, json = json }, ledger)
end

local function object(self, name)
  local text = self.files.read(self.folder .. "/" .. name .. ".json")
  local ok, value = pcall(self.json.decode, text or "")
  return ok and type(value) == "table" and value or nil
end

-- What was asked as `job`: {request, after = the take ("<job>/take-N") that it follows from or nil, number = place in
-- the order of asking}, or nil.
function ledger:read(job)
  local record = object(self, job)
  return record and type(record.request) == "table" and record or nil
end

-- Keeps a request (without the token). Raises an error when it cannot be written.
function ledger:keep(job, asked, after)
  local last = object(self, "last")
  local number = 1 + (last and math.tointeger(last.number) or 0)
  local record = { request = asked, after = after, number = number }
  self.files.write(self.folder .. "/" .. job .. ".json", self.json.encode(record))
  self.files.write(self.folder .. "/last.json", self.json.encode({ number = number, job = job }))
end

function ledger.take2job(take)
  return take:match("^(.*)/take%-%d+$")
end

-- The first job of those that follow from each other.
function ledger:root(job)
  for _ = 1, DEEPEST do
    local record = self:read(job)
    if not record or not record.after then return job end
    job = ledger.take2job(record.after)
  end
  return job
end

-- The take that a stem of `take` was written in: an edit leaves the stems outside its scope as they were.
function ledger:origin(take, stem)
  for _ = 1, DEEPEST do
    local record = self:read(ledger.take2job(take))
    local scope = record and record.request.scope
    if not scope or not scope.stems or #scope.stems == 0 then return take end
    for _, name in ipairs(scope.stems) do
      if name == stem then return take end
    end
    take = scope.take
  end
  return take
end

return ledger
