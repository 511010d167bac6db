-- The painter on REAPER's own drawing window, for a REAPER without extensions. Immediate mode: a frame draws
-- everything from the top and answers clicks on the spot.

return function()
  local painter = {}

  local MARGIN, HEIGHT, SPACE, FIELD = 12, 22, 8, 300
  local FONT, SIZE = "Arial", 15
  local BACK, TEXT, DIM, BOX, ACTIVE, BAR = { 0.16, 0.16, 0.17 }, { 0.92, 0.92, 0.92 }, { 0.68, 0.68, 0.7 },
    { 0.28, 0.28, 0.3 }, { 0.36, 0.42, 0.5 }, { 0.3, 0.55, 0.45 }
  local BACKSPACE, ENTER, ESCAPE, UNICODE = 8, 13, 27, 0x75

  local function colour(c) gfx.set(c[1], c[2], c[3], 1) end

  function painter.open(title)
    gfx.init(title, 560, 760, 0, 120, 80)
    gfx.setfont(1, FONT, SIZE)

    local self = { scroll = 0, typing = nil, typed = "" }
    local x, y, last_right, beside, clicked = MARGIN, MARGIN, MARGIN, false, false
    local was_down = false

    -- Where the next thing stands, `width` wide: beside the last one if it fits there.
    local function place(width)
      if beside and last_right + SPACE + width <= gfx.w - MARGIN then
        x = last_right + SPACE
        y = y - HEIGHT
      else
        x = MARGIN
      end
      beside = false
      local at_x, at_y = x, y - self.scroll
      last_right, y = x + width, y + HEIGHT
      return at_x, at_y
    end

    local function inside(at_x, at_y, width)
      return gfx.mouse_x >= at_x and gfx.mouse_x < at_x + width
        and gfx.mouse_y >= at_y and gfx.mouse_y < at_y + HEIGHT - 3
    end

    local function write(text, at_x, at_y, c)
      colour(c)
      gfx.x, gfx.y = at_x, at_y + 2
      gfx.drawstr(text)
    end

    local function box(label, at_x, at_y, width, c)
      colour(c)
      gfx.rect(at_x, at_y, width, HEIGHT - 3, 1)
      write(label, at_x + 6, at_y, TEXT)
      return clicked and inside(at_x, at_y, width)
    end

    local function width_of(text)
      local width = gfx.measurestr(text)
      return math.floor(width)
    end

    -- Lines of a text that fit into the window; a word that does not fit is broken.
    local function wrap(text)
      local most, lines, line = gfx.w - 2 * MARGIN, {}, ""
      local function add(piece)
        if line ~= "" and width_of(line .. piece) > most then
          lines[#lines + 1] = line
          line = piece:match("^%s*(.*)$")
        else
          line = line .. piece
        end
      end
      for space, word in text:gmatch("(%s*)(%S+)") do
        if width_of(word) <= most then
          add(space .. word)
        else
          for letter in (space .. word):gmatch(utf8.charpattern) do add(letter) end
        end
      end
      lines[#lines + 1] = line
      return lines
    end

    local function write_lines(text, c)
      if width_of(text) <= gfx.w - 2 * MARGIN then
        local at_x, at_y = place(width_of(text))
        return write(text, at_x, at_y, c)
      end
      for _, line in ipairs(wrap(text)) do
        beside = false
        local at_x, at_y = place(width_of(line))
        write(line, at_x, at_y, c)
      end
    end

    local paint = {}

    function paint.text(text) write_lines(text, TEXT) end

    function paint.dim(text) write_lines(text, DIM) end

    function paint.row() beside = true end

    function paint.gap() y = y + SPACE end

    function paint.button(label)
      local width = width_of(label) + 12
      local at_x, at_y = place(width)
      return box(label, at_x, at_y, width, BOX)
    end

    function paint.check(label, value)
      local shown = (value and "[x] " or "[  ] ") .. label
      local width = width_of(shown) + 12
      local at_x, at_y = place(width)
      local hit = box(shown, at_x, at_y, width, BACK)
      if hit then return true, not value end
      return false, value
    end

    -- A field: a click opens it, Enter (or a click elsewhere) takes what was typed, Escape drops it.
    function paint.line(label, value)
      local width = FIELD + width_of(label)
      local at_x, at_y = place(width)
      local open = self.typing == label
      local shown = label .. ": " .. (open and self.typed .. "|" or value)
      local hit = box(shown, at_x, at_y, width, open and ACTIVE or BOX)
      if open and (self.entered or clicked and not hit) then
        self.typing, self.entered = nil, false
        return self.typed ~= value, self.typed
      end
      if hit and not open and not self.typing then self.typing, self.typed = label, value end
      return false, value
    end

    function paint.number(label, value, least, most)
      local changed, text = paint.line(label, tostring(value))
      local number = changed and math.tointeger(tonumber(text))
      if not number then return false, value end
      number = math.max(least, math.min(most, number))
      return number ~= value, number
    end

    function paint.bar(fraction, label)
      local width = math.max(gfx.w - 2 * MARGIN, 100)
      local at_x, at_y = place(width)
      box("", at_x, at_y, width, BOX)
      colour(BAR)
      gfx.rect(at_x, at_y, math.floor(width * fraction), HEIGHT - 3, 1)
      write(string.format("%s  %.0f %%", label, 100 * fraction), at_x + 6, at_y, TEXT)
    end

    -- What was typed since the last frame; false when the window was closed.
    local function read_keys()
      for _ = 1, 64 do
        local key = math.floor(gfx.getchar())
        if key == -1 then return false end
        if key == 0 then return true end
        if not self.typing then
          if key == ESCAPE then return false end
        elseif key == ENTER then
          self.entered = true
        elseif key == ESCAPE then
          self.typing = nil
        elseif key == BACKSPACE then
          local last = utf8.offset(self.typed, -1)
          self.typed = last and self.typed:sub(1, last - 1) or ""
        elseif key >= 32 and key < 127 then
          self.typed = self.typed .. string.char(key)
        elseif key >> 24 == UNICODE then
          self.typed = self.typed .. utf8.char(key & 0xFFFFFF)
        elseif key > 127 and key < 256 then
          self.typed = self.typed .. utf8.char(key)
        end
      end
      return true
    end

    -- Draws a frame with `draw(paint)`; false when the user closed the window.
    function self.frame(draw)
      if not read_keys() then return false end
      local down = gfx.mouse_cap & 1 == 1
      clicked, was_down = down and not was_down, down
      colour(BACK)
      gfx.rect(0, 0, gfx.w, gfx.h, 1)
      x, y, last_right, beside = MARGIN, MARGIN, MARGIN, false
      draw(paint)
      local most = math.max(0, y + MARGIN - gfx.h)
      if gfx.mouse_wheel ~= 0 then
        self.scroll = self.scroll - math.floor(gfx.mouse_wheel / 4)
        gfx.mouse_wheel = 0
      end
      self.scroll = math.max(0, math.min(most, self.scroll))
      gfx.update()
      return true
    end

    function self.close() gfx.quit() end

    return self
  end

  return painter
end
