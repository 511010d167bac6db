-- NoIndex: true
-- @description stembridge: Continue
-- @author stembridge
-- @version 0.1.0
-- @changelog First version
-- @about
--   # stembridge: Continue
--   Goes on where the take ends: through the next region, or as long as its last section.
--   Needs the stembridge engine on this computer; see the README.

local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
dofile(folder .. "stembridge/use.lua")(folder)("door").action("continue")
