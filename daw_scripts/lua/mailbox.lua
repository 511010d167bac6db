-- The mailbox: a folder shared with the engine. Everything becomes visible by rename only; a look costs microseconds.
-- Plain Lua (io, os): no call of the DAW.

local mailbox = {}
mailbox.__index = mailbox

local BEAT_SECONDS = 5 -- an engine writes its heartbeat each second; older than this it is gone

-- The engine's data folder, as the engine itself chooses it. `getenv` is `os.getenv`.
function mailbox.data_folder(getenv)
  local named = getenv("STEMBRIDGE_DATA")
  if named and named ~= "" then return named end
  local home, windows = getenv("HOME") or "", getenv("LOCALAPPDATA")
  if windows and windows ~= "" then return windows .. "\\stembridge" end
  if home:match("^/Users/") then return home .. "/Library/Application Support/stembridge" end
  local data = getenv("XDG_DATA_HOME")
  return (data and data ~= "" and data or home .. "/.local/share") .. "/stembridge"
end

function mailbox.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

-- Writes a file that appears whole or not at all. Raises an error with the reason.
-- Until then its name begins with a dot: the engine passes over such files.
function mailbox.write(path, text)
  local part = path:gsub("[^/\\]+$", ".%0.part")
  local file, why = io.open(part, "wb")
  if not file then error(why, 0) end
  local written, wrong = file:write(text)
  local closed, trouble = file:close()
  if not written or not closed then
    os.remove(part)
    error(wrong or trouble or ("cannot write " .. path), 0)
  end
  local moved, reason = os.rename(part, path)
  if not moved then -- Windows does not rename onto an existing file
    os.remove(path)
    moved, reason = os.rename(part, path)
  end
  if not moved then error(reason, 0) end
end

-- A mailbox in `folder`/mailbox. `json` reads and writes, `now` gives seconds since 1970 (`os.time`).
function mailbox.open(folder, json, now)
  return setmetatable({ folder = folder .. "/mailbox", json = json, now = now }, mailbox)
end

-- An object out of a file, or nil while there is none; of a file that holds something else, nil and its text.
function mailbox:object(path)
  local text = mailbox.read(path)
  if not text then return nil end
  local ok, value = pcall(self.json.decode, text)
  if ok and type(value) == "table" then return value end
  return nil, text
end

-- The running engine's heartbeat {pid, version, token, time}, or nil and what to tell the user.
function mailbox:engine()
  local beat = self:object(self.folder .. "/engine.json")
  if not beat then
    return nil, "The stembridge engine is not running. Start it in a terminal: stembridge engine start"
  end
  local age = self.now() - (tonumber(beat.time) or 0)
  if age > BEAT_SECONDS then
    return nil, string.format("The stembridge engine was last seen %.0f s ago. Start it in a terminal: "
      .. "stembridge engine start", age)
  end
  if type(beat.token) ~= "string" then
    return nil, "The stembridge engine's heartbeat is damaged. Restart the engine."
  end
  return beat
end

-- What to tell where a running engine does not speak the script's `protocol`; nil where it does. `update`: what updates
-- the script.
function mailbox.mismatch(engine, protocol, update)
  local theirs = math.tointeger(engine.protocol) or 1
  if theirs < protocol then
    return string.format("The stembridge engine speaks protocol %d, this script %d: update the engine "
      .. "(pip install -U stembridge, then stembridge engine stop).", theirs, protocol)
  elseif theirs > protocol then
    return string.format("This script speaks protocol %d, the stembridge engine %d: update the script (%s).",
      protocol, theirs, update)
  end
end

-- What to tell where an engine that speaks the script's protocol is of another version than the script; nil where it is
-- of the same. `update`: what updates the script.
function mailbox.other_version(engine, version, update)
  if type(engine.version) ~= "string" or engine.version == version then return nil end
  return string.format("The stembridge engine has version %s, this script %s. They understand each other; to make them "
    .. "the same, update the older one (pip install -U stembridge; %s).", engine.version:sub(1, 40), version, update)
end

-- Puts a request into the box. Raises an error with the reason.
function mailbox:post(job, text)
  mailbox.write(self.folder .. "/requests/" .. job .. ".json", text)
end

-- Takes a request back that the engine has not taken yet; true if it was still there.
function mailbox:take_back(job)
  return os.remove(self.folder .. "/requests/" .. job .. ".json") ~= nil
end

-- Whether a request waits to be taken by the engine.
function mailbox:is_posted(job)
  return mailbox.read(self.folder .. "/requests/" .. job .. ".json") ~= nil
end

-- Takes away the result that an engine before this one has left, so that it is not taken for the new one's.
function mailbox:forget_result(job)
  os.remove(self:path(job, "result.json"))
end

function mailbox:path(job, name)
  return self.folder .. "/jobs/" .. job .. "/" .. name
end

-- Events, or nil while they have not come.
function mailbox:accepted(job) return self:object(self:path(job, "accepted.json")) end
function mailbox:progress(job) return self:object(self:path(job, "progress.json")) end
function mailbox:stem(job, number) return self:object(self:path(job, string.format("stem-%03d.json", number))) end
function mailbox:result(job) return self:object(self:path(job, "result.json")) end

-- Whether a stem's event is there that cannot be read: what is renamed into its place is whole, so it stays that way.
function mailbox:is_damaged_stem(job, number)
  return mailbox.read(self:path(job, string.format("stem-%03d.json", number))) ~= nil
    and self:stem(job, number) == nil
end

-- Asks the engine to stop a job; false when the engine has no folder for it.
function mailbox:cancel(job)
  return (pcall(mailbox.write, self:path(job, "cancel"), ""))
end

-- Says that the result was read: the engine may delete the job's folder.
function mailbox:gone(job)
  return (pcall(mailbox.write, self:path(job, "gone"), ""))
end

return mailbox
