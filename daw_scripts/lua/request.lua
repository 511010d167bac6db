-- The Render request (protocol 1) from plain tables: what was read from the session, and the user's settings.

local request = {}

request.PROTOCOL = 1
request.ROLES = { "drums", "bass", "keys", "guitar", "pad", "strings", "brass", "lead", "arp", "vocals" }
request.DEFAULT_STEMS = { drums = true, bass = true, keys = true, pad = true, lead = true }
local BIGGEST_SEED = 2147483647
local MOST_TAKES = 8

-- Settings as they are stored; what is missing or wrong becomes the default. `seed` 0: a new one each time.
function request.settings(stored)
  local given = type(stored) == "table" and stored or {}
  local stems, any = {}, false
  for _, role in ipairs(request.ROLES) do
    stems[role] = type(given.stems) == "table" and given.stems[role] == true
    any = any or stems[role]
  end
  if not any then
    for role in pairs(request.DEFAULT_STEMS) do stems[role] = true end
  end
  local function whole(value, least, most)
    local number = math.tointeger(tonumber(value) and math.floor(tonumber(value)) or least)
    return math.max(least, math.min(most, number))
  end
  return {
    style = type(given.style) == "string" and given.style or "",
    seed = whole(given.seed, 0, BIGGEST_SEED),
    takes = whole(given.takes, 1, MOST_TAKES),
    stems = stems,
  }
end

-- 16 random bytes as the id of a job (a version 4 UUID).
function request.bytes2job(bytes)
  local b = { bytes:byte(1, 16) }
  b[7] = b[7] & 0x0F | 0x40
  b[9] = b[9] & 0x3F | 0x80
  local hex = {}
  for i = 1, 16 do hex[i] = string.format("%02x", b[i]) end
  local text = table.concat(hex)
  return table.concat({ text:sub(1, 8), text:sub(9, 12), text:sub(13, 16), text:sub(17, 20), text:sub(21) }, "-")
end

-- A seed from 1 to 2^31 - 1 out of random bytes.
function request.bytes2seed(bytes)
  return string.unpack("<I4", bytes) % BIGGEST_SEED + 1
end

-- A part of a file name from any track name.
function request.name2file(name)
  local plain = name:gsub("[^%w%-_ ]", "_"):match("^%s*(.-)%s*$")
  return plain == "" and "track" or plain:sub(1, 48)
end

-- The request as a table for `json.encode`. `song`: name, root, sample_rate, clock, metres, keys, sections, tracks.
-- The transport's `token` stands beside the request's own fields.
function request.build(json, job, token, song, settings, seed)
  local stems = json.array()
  for _, role in ipairs(request.ROLES) do
    if settings.stems[role] then stems[#stems + 1] = { role = role } end
  end
  return {
    type = "render",
    version = request.PROTOCOL,
    token = token,
    job = job,
    project = { name = song.name, root = song.root, daw = song.daw },
    arrangement = {
      sample_rate = song.sample_rate,
      clock = json.array(song.clock),
      metres = json.array(song.metres),
      keys = json.array(song.keys),
      sections = json.array(song.sections),
      tracks = json.array(song.tracks),
    },
    stems = stems,
    style = settings.style,
    seed = seed,
    takes = settings.takes,
  }
end

-- Names the files inside the project's folder by their paths from there, so that what was asked can be asked again when
-- the project has moved. Changes `asked`.
function request.name_from_root(asked)
  local root = asked.project.root
  local function from_root(path)
    local inside = type(path) == "string" and root ~= "" and path:sub(1, #root) == root
    return inside and path:sub(#root + 1):match("^[/\\](.+)") or path
  end
  for _, list in ipairs({ asked.arrangement.tracks or {}, asked.arrangement.references or {} }) do
    for _, file in ipairs(list) do
      file.midi, file.audio = from_root(file.midi), from_root(file.audio)
    end
  end
end

return request
