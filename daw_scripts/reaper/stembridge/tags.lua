-- What stembridge writes on its tracks and items (P_EXT:stembridge), so that it knows them again. Plain Lua.
--   folder track   "band <band>"
--   track          "track <band> <kind> <stem>"            kind: audio or midi
--   take           "landing <job> take-<n> <kind> <stem>"  one landing name: placed exactly once
-- `band` is the id of the job that made the folder; the stem's name comes last because it may hold spaces.

local tags = {}

tags.KEY = "P_EXT:stembridge"

function tags.band(band) return "band " .. band end

function tags.track(band, kind, stem) return "track " .. band .. " " .. kind .. " " .. stem end

function tags.landing(job, take, kind, stem) return string.format("landing %s take-%d %s %s", job, take, kind, stem) end

-- {what, band, kind, stem} of a track's tag, or nil.
function tags.read_track(tag)
  local band = tag:match("^band (%S+)$")
  if band then return { what = "band", band = band } end
  local owner, kind, stem = tag:match("^track (%S+) (%S+) (.+)$")
  if owner then return { what = "track", band = owner, kind = kind, stem = stem } end
  return nil
end

-- {job, take, kind, stem} of a take's tag, or nil.
function tags.read_landing(tag)
  local job, take, kind, stem = tag:match("^landing (%S+) take%-(%d+) (%S+) (.+)$")
  if not job then return nil end
  return { job = job, take = tonumber(take), kind = kind, stem = stem }
end

return tags
