-- The painter on the ReaImGui extension, where the user has it.

return function()
  local painter = {}

  function painter.exists() return reaper.APIExists("ImGui_CreateContext") end

  function painter.open(title)
    local context = reaper.ImGui_CreateContext(title)
    local paint, self = {}, {}

    function paint.text(text) reaper.ImGui_Text(context, text) end

    function paint.dim(text) reaper.ImGui_TextWrapped(context, text) end

    function paint.row() reaper.ImGui_SameLine(context) end

    function paint.gap() reaper.ImGui_Separator(context) end

    function paint.button(label) return reaper.ImGui_Button(context, label) end

    function paint.check(label, value) return reaper.ImGui_Checkbox(context, label, value) end

    function paint.line(label, value) return reaper.ImGui_InputText(context, label, value) end

    function paint.number(label, value, least, most)
      local changed, number = reaper.ImGui_InputInt(context, label, value)
      number = math.max(least, math.min(most, math.floor(number)))
      return changed and number ~= value, number
    end

    function paint.bar(fraction, label)
      reaper.ImGui_ProgressBar(context, fraction, -1, 0, string.format("%s  %.0f %%", label, 100 * fraction))
    end

    -- Draws a frame with `draw(paint)`; false when the user closed the window.
    function self.frame(draw)
      reaper.ImGui_SetNextWindowSize(context, 560, 760, reaper.ImGui_Cond_FirstUseEver())
      local visible, open = reaper.ImGui_Begin(context, title, true)
      if visible then
        draw(paint)
        reaper.ImGui_End(context)
      end
      return open
    end

    function self.close() end

    return self
  end

  return painter
end
