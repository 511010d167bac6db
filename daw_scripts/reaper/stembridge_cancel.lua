-- NoIndex: true
-- @description stembridge: Cancel
-- @author stembridge
-- @version 0.1.0
-- @changelog First version
-- @about
--   # stembridge: Cancel
--   Stops what the band is playing for this project; what had landed stays.
--   Needs the stembridge engine on this computer; see the README.

local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
dofile(folder .. "stembridge/use.lua")(folder)("door").action("cancel")
