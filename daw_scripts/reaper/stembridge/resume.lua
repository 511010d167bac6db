-- Whether jobs were under way when REAPER was closed, and their taking up at REAPER's start.

return function(use)
  local json, mailbox, projects = use("json"), use("mailbox"), use("projects")
  local resume = {}

  -- Starts the background script of `folder` where a job waits to be gone on with.
  function resume.if_needed(folder)
    local ok, kept = pcall(json.decode, mailbox.read(projects.data() .. "/reaper/running.json") or "[]")
    if not ok or type(kept) ~= "table" or #kept == 0 then return end
    local command = reaper.AddRemoveReaScript(true, 0, folder .. "stembridge_background.lua", true)
    if command ~= 0 then reaper.Main_OnCommand(command, 0) end
  end

  return resume
end
