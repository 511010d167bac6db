-- NoIndex: true
-- @description stembridge: Add part
-- @author stembridge
-- @version 0.1.0
-- @changelog First version
-- @about
--   # stembridge: Add part
--   Adds a part that the take lacks (guitar, strings, "guitar 2" ...) and leaves all others as they are.
--   Needs the stembridge engine on this computer; see the README.

local folder = ({ reaper.get_action_context() })[2]:match("^(.*[/\\])")
local use = dofile(folder .. "stembridge/use.lua")(folder)
local roles = table.concat(use("request").ROLES, " ")
local ok, part = reaper.GetUserInputs("stembridge: Add part", 1, "Part,extrawidth=200", "guitar")
if ok and not use("verbs").text2stem(part) then
  reaper.ShowMessageBox("'" .. part .. "' is no part. Say one of: " .. roles .. ".", "stembridge", 0)
  ok = false
end
if ok then use("door").action("add", { part = part }) else reaper.defer(function() end) end
