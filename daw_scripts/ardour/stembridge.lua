ardour {
  ["type"] = "EditorHook",
  name = "stembridge",
  license = "Apache-2.0",
  author = "stembridge",
  description = [[
Connects this session with the stembridge engine: answers 'stembridge: Generate band' and 'stembridge: Cancel',
and puts stems and MIDI on new tracks as they arrive. Install it as an action hook; see the README beside it.]]
}

function signals()
  return LuaSignal.Set():add({ [LuaSignal.LuaTimerDS] = true })
end

-- Ardour keeps this function alone, as byte code; all else is read from the folder `stembridge` beside the script.
function factory(params)
  local busy, tick, session = false, nil, nil

  local function start()
    local folder = params["x-script-origin"]:gsub("[^/\\]*$", "")
    local use = assert(loadfile(folder .. "stembridge/use.lua"))()(folder)
    return use("hook").start()
  end

  return function()
    if not Session then session = nil end -- the same session may be opened again: it begins from what was saved
    if busy or not Session then return end
    busy = true -- an import runs the main loop: never two ticks at once
    local ok, trouble = pcall(function()
      if session ~= Session:path() then tick, session = start(), Session:path() end
      tick()
    end)
    busy = false
    if not ok then error(trouble, 0) end -- Ardour logs it and drops the hook: better than the same fault again and again
  end
end
