-- @noindex
-- Run when REAPER starts (from Scripts/__startup.lua): goes on with jobs that were under way when it was closed.

local folder = debug.getinfo(1, "S").source:match("^@?(.*[/\\])")
local use = dofile(folder .. "stembridge/use.lua")(folder)
use("resume").if_needed(folder)
