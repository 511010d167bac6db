-- NoIndex: true
-- @description stembridge: Generate band
-- @author stembridge
-- @version 0.1.0
-- @changelog First version
-- @about
--   # stembridge: Generate band
--   A band for the regions of the song, or for the time selection: stems and MIDI on new tracks.
--   Needs the stembridge engine on this computer; see the README.

local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
dofile(folder .. "stembridge/use.lua")(folder)("door").action("generate")
