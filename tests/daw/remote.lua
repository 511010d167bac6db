-- Test-only hook: runs the Lua files that the test drops into $ARDOUR_REMOTE, one a tick, and writes what they return.
local folder = os.getenv("ARDOUR_REMOTE")
local turn = 1
local busy = false

local function write(path, text)
  local file = assert(io.open(path .. ".part", "wb"))
  file:write(text)
  file:close()
  os.rename(path .. ".part", path)
end

return function()
  if busy or not Session then return end
  local file = io.open(folder .. "/" .. turn .. ".lua", "rb")
  if not file then return end
  local text = file:read("a")
  file:close()
  local name = folder .. "/" .. turn
  turn = turn + 1
  busy = true -- an import runs the main loop, and with it this hook again
  local chunk, wrong = load(text, "@remote")
  local ok, answer = false, wrong
  if chunk then ok, answer = pcall(chunk) end
  busy = false
  write(name .. (ok and ".ok" or ".error"), tostring(answer))
end
