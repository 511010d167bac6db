-- Long work in slices: a coroutine that gives way whenever its share of a tick is used up. Plain Lua.

local slices = {}
slices.__index = slices

-- `work(pause)` calls `pause()` often; it returns after a tick's share of `seconds` was used. `now` gives seconds.
function slices.new(work, now, seconds)
  local self = setmetatable({ now = now, seconds = seconds, over = false }, slices)
  self.thread = coroutine.create(function()
    return work(function()
      if now() >= self.deadline then coroutine.yield() end
    end)
  end)
  return self
end

-- Works on for one tick. Returns true and the work's result when it is done; raises the work's own error.
function slices:step()
  self.deadline = self.now() + self.seconds
  local ok, result = coroutine.resume(self.thread)
  if not ok then error(result, 0) end
  if coroutine.status(self.thread) ~= "dead" then return false end
  return true, result
end

return slices
