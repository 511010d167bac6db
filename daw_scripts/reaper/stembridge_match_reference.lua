-- NoIndex: true
-- @description stembridge: Match reference
-- @author stembridge
-- @version 0.1.0
-- @changelog First version
-- @about
--   # stembridge: Match reference
--   Brings the band to the sound of the selected audio item.
--   Needs the stembridge engine on this computer; see the README.

local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
dofile(folder .. "stembridge/use.lua")(folder)("door").action("match")
