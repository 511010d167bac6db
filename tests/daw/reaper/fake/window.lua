-- The window of `gfx`: what a script draws is remembered, and a scripted hand moves the mouse and presses keys.
--
-- Text is as wide as 0.55 of its font's size per character. A click lasts three ticks: move, press, release.

return function(fake)
  local window = { open = false, texts = {}, frame = {}, hand = {}, keys = {}, closing = false, drawn = 0 }
  local READ_ONLY = { w = true, h = true, texth = true, ext_retina_scale = true }
  local values

  local function reset()
    values = {
      x = 0.0, y = 0.0, w = 0.0, h = 0.0, r = 1.0, g = 1.0, b = 1.0, a = 1.0, a2 = 1.0, mode = 0.0, clear = 0.0, dest = -1.0,
      texth = 14.0, ext_retina = 0.0, mouse_x = 0.0, mouse_y = 0.0, mouse_cap = 0.0, mouse_wheel = 0.0, mouse_hwheel = 0.0,
    }
  end

  reset()

  local function numbers(called, low, high, ...)
    local given = table.pack(...)
    if given.n < low or given.n > high then
      fake.refuse(string.format("gfx.%s takes %d to %d arguments, got %d", called, low, high, given.n), 4)
    end
    for i = 1, given.n do
      if type(given[i]) ~= "number" or given[i] ~= given[i] then
        fake.refuse(string.format("gfx.%s: argument %d is no number", called, i), 4)
      end
    end
    if not window.open and called ~= "quit" then fake.refuse("gfx." .. called .. " without a window", 4) end
  end

  local function text(called, value)
    if type(value) ~= "string" then fake.refuse("gfx." .. called .. ": no string", 4) end
    if not utf8.len(value) then fake.refuse("gfx." .. called .. ": not UTF-8", 4) end
    if not window.open then fake.refuse("gfx." .. called .. " without a window", 4) end
    return value
  end

  local function measure(value)
    local widest, lines = 0, 0
    for line in (value .. "\n"):gmatch("(.-)\n") do
      widest, lines = math.max(widest, utf8.len(line)), lines + 1
    end
    return widest * values.texth * 0.55, lines * values.texth
  end

  local gfx = {}

  function gfx.init(name, width, height, dock, x, y)
    if type(name) ~= "string" then fake.refuse("gfx.init: no name", 3) end
    for _, number in ipairs({ width or 0, height or 0, dock or 0, x or 0, y or 0 }) do
      if type(number) ~= "number" then fake.refuse("gfx.init: numbers expected", 3) end
    end
    if window.open and name ~= "" then fake.note("gfx.init of a second window: " .. name) end
    window.open, window.closing, window.name = true, false, name
    window.dock = dock or 0
    values.w, values.h = (width or 640) + 0.0, (height or 480) + 0.0
    return 1
  end

  function gfx.quit()
    window.open = false
    window.frame, window.texts = {}, {}
  end

  function gfx.update() numbers("update", 0, 0) end

  function gfx.getchar(...)
    if select("#", ...) > 1 then fake.refuse("gfx.getchar takes one argument at most", 3) end
    if not window.open then return -1 end
    if window.closing then
      window.open = false
      return -1
    end
    if ... == 65536 then return 7 end
    return table.remove(window.keys, 1) or 0
  end

  function gfx.set(...)
    numbers("set", 1, 6, ...)
    local given = table.pack(...)
    for i, name in ipairs({ "r", "g", "b", "a", "mode", "dest" }) do
      if given[i] then values[name] = given[i] + 0.0 end
    end
    if given.n == 1 then values.g, values.b = values.r, values.r end
  end

  local SHAPES = {
    rect = { 4, 5 }, roundrect = { 5, 6 }, line = { 4, 5 }, circle = { 3, 5 }, gradrect = { 8, 16 }, triangle = { 6, 16 },
    lineto = { 2, 3 }, arc = { 5, 6 },
  }
  for name, range in pairs(SHAPES) do
    gfx[name] = function(...)
      numbers(name, range[1], range[2], ...)
      window.drawn = window.drawn + 1
    end
  end

  function gfx.setfont(index, face, size, flags)
    if math.type(index) == nil or index < 0 or index > 16 then fake.refuse("gfx.setfont: font " .. tostring(index), 3) end
    if not window.open then fake.refuse("gfx.setfont without a window", 3) end
    window.fonts = window.fonts or {}
    if face ~= nil then
      if type(face) ~= "string" or type(size) ~= "number" or flags ~= nil and type(flags) ~= "number" then
        fake.refuse("gfx.setfont(index, face, size, flags)", 3)
      end
      window.fonts[index] = size
    elseif index > 0 and not window.fonts[index] then
      fake.refuse("gfx.setfont: font " .. index .. " was never set", 3)
    end
    values.texth = (window.fonts[index] or 14) + 0.0
    return 1
  end

  function gfx.measurestr(value) return measure(text("measurestr", value)) end

  function gfx.drawstr(value, flags, right, bottom)
    text("drawstr", value)
    flags = flags or 0
    if math.type(flags) == nil then fake.refuse("gfx.drawstr: flags", 3) end
    local width, height = measure(value)
    local left, top = values.x, values.y
    if right and flags & 1 ~= 0 then left = left + (right - left - width) / 2 end
    if right and flags & 2 ~= 0 then left = right - width end
    if bottom and flags & 4 ~= 0 then top = top + (bottom - top - height) / 2 end
    if bottom and flags & 8 ~= 0 then top = bottom - height end
    window.drawn = window.drawn + 1
    table.insert(window.frame, {
      text = value, x = left, y = top, w = width, h = height, right = right, bottom = bottom,
      clipped = right ~= nil and flags & 256 == 0 and left + width > right + 0.5,
      outside = left < -0.5 or top < -0.5 or top + height > values.h + 0.5 or left > values.w,
    })
    values.x = left + width
  end

  function gfx.dock(_) return window.dock end

  function gfx.showmenu(items)
    text("showmenu", items)
    return fake.modal("menu", items)
  end

  function gfx.setcursor(_) return 0 end

  function gfx.clienttoscreen(x, y) return x, y end

  function gfx.screentoclient(x, y) return x, y end

  -- The table `gfx` of one script.
  function window.namespace()
    return setmetatable({}, {
      __index = function(_, name)
        if gfx[name] then return gfx[name] end
        if values[name] == nil then fake.refuse("gfx." .. tostring(name) .. " is not in the list", 2) end
        return values[name]
      end,
      __newindex = function(_, name, value)
        if values[name] == nil or READ_ONLY[name] then fake.refuse("gfx." .. tostring(name) .. " cannot be set", 2) end
        if type(value) ~= "number" then fake.refuse("gfx." .. name .. ": no number", 2) end
        values[name] = value + 0.0
      end,
      __metatable = false,
    })
  end

  -- The hand ---------------------------------------------------------------------------------------------------------

  -- At the start of a tick: the last frame is what the user sees, the hand makes its next move.
  function window.turn()
    if #window.frame > 0 then window.texts = window.frame end
    window.frame = {}
    local move = table.remove(window.hand, 1)
    if not move then return end
    for name, value in pairs(move) do values[name] = value + 0.0 end
  end

  -- The text on the screen that holds `label` (plain text); among several, the one that is equal to it.
  function window.find(label)
    local found = nil
    for _, shown in ipairs(window.texts) do
      if shown.text == label and not shown.outside then return shown end
      if not found and shown.text:find(label, 1, true) and not shown.outside then found = shown end
    end
    return found
  end

  function window.click_at(x, y)
    local hand = window.hand
    hand[#hand + 1] = { mouse_x = x, mouse_y = y, mouse_cap = 0 }
    hand[#hand + 1] = { mouse_x = x, mouse_y = y, mouse_cap = 1 }
    hand[#hand + 1] = { mouse_cap = 0 }
  end

  function window.click(label)
    local shown = window.find(label)
    if not shown then
      local seen = {}
      for i, other in ipairs(window.texts) do seen[i] = other.text end
      error("no '" .. label .. "' on the screen, but: " .. table.concat(seen, " | "), 2)
    end
    window.click_at(shown.x + shown.w / 2, shown.y + shown.h / 2)
  end

  -- What is beyond ASCII comes with a "u" in the highest byte.
  function window.type(keys)
    for _, code in utf8.codes(keys) do table.insert(window.keys, code < 128 and code or 0x75000000 | code) end
  end

  function window.press(code) table.insert(window.keys, code) end

  function window.wheel(amount) table.insert(window.hand, { mouse_wheel = amount }) end

  -- The user closes the window.
  function window.close() window.closing = true end

  return window
end
