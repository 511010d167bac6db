-- Long work in slices: a coroutine that gives way whenever its share of a tick is used up. Plain Lua.

local slices = {}
slices.__index = slices

-- `work(pause)` calls `pause()` often; it returns after a tick's share of `seconds` was used. `now` gives seconds.
-- `check`, where given, is called whenever the work goes on after a rest, and may raise an error in it.
function slices.new(work, now, seconds, check)
  local self = setmetatable({ now = now, seconds = seconds, stopped = false }, slices)
  self.thread = coroutine.create(function()
    return work(function()
      if now() < self.deadline then return end
      coroutine.yield()
      if self.stopped then error("stopped", 0) end
      if check then check() end
    end)
  end)
  return self
end

-- Ends unfinished work by an error where it rests, so that it gives back what it holds.
function slices:stop()
  if coroutine.status(self.thread) ~= "suspended" or not self.deadline then return end
  self.stopped = true
  coroutine.resume(self.thread)
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
