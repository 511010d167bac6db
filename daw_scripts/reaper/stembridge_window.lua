-- @description stembridge: Window
-- @author stembridge
-- @version 0.1.0
-- @changelog First version
-- @provides
--   [main] stembridge_generate.lua
--   [main] stembridge_reroll.lua
--   [main] stembridge_add_part.lua
--   [main] stembridge_continue.lua
--   [main] stembridge_match_reference.lua
--   [main] stembridge_next_take.lua
--   [main] stembridge_cancel.lua
--   [nomain] stembridge_background.lua
--   [nomain] stembridge_startup.lua
--   [nomain] stembridge/*.lua
--   [nomain] ../lua/*.lua > lua/
-- @about
--   # stembridge: Window
--   Sections, stems, style, reference and seed; every action as a button; progress and messages.
--   This package holds all of stembridge's actions. It needs the stembridge engine on this computer; see the README.

local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
local use = dofile(folder .. "stembridge/use.lua")(folder)
if reaper.APIExists("set_action_options") then reaper.set_action_options(1) end -- run again: closes the window

local window = use("window").new()
reaper.atexit(function() window:close() end)

local function frame()
  if window:frame() then reaper.defer(frame) end
end

reaper.defer(frame)
