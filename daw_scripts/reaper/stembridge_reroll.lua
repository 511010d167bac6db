-- NoIndex: true
-- @description stembridge: Re-roll selection
-- @author stembridge
-- @version 0.1.0
-- @changelog First version
-- @about
--   # stembridge: Re-roll selection
--   Plays the selected bars, or the selected tracks of the band, anew; the former take stays beside it.
--   Needs the stembridge engine on this computer; see the README.

local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
dofile(folder .. "stembridge/use.lua")(folder)("door").action("reroll")
