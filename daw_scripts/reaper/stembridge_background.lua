-- @noindex
-- Started by stembridge's actions: connects REAPER with the stembridge engine until nothing is left to do.

local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
local use = dofile(folder .. "stembridge/use.lua")(folder)
if reaper.APIExists("set_action_options") then reaper.set_action_options(1 | 2) end

local service = use("service").new()
reaper.atexit(function() service:close() end)

local function tick()
  if service:tick() then reaper.defer(tick) end
end

reaper.defer(tick)
