-- NoIndex: true
-- @description stembridge: Next take
-- @author stembridge
-- @version 0.1.0
-- @changelog First version
-- @about
--   # stembridge: Next take
--   Asks for the same again with the next seed: a further take beside the former.
--   Needs the stembridge engine on this computer; see the README.

local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
dofile(folder .. "stembridge/use.lua")(folder)("door").action("next")
