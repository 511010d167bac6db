-- The part of the ReaImGui extension (0.8) that the scripts use: a context that must be used in every tick, windows that
-- are begun and ended, widgets with labels of their own; and the hand that presses them by their labels.

return function(fake)
  local impl = fake.api.impl
  local pointer = fake.api.pointer
  local hand = { contexts = {}, shown = {}, pressed = {}, entered = {}, closing = false, collapsed = false }

  local function use(context) context.used = fake.tick_number end

  local function inside(context, called)
    if not context.begun then fake.refuse("ImGui_" .. called .. " outside of Begin and End", 4) end
    use(context)
  end

  -- A widget is known by its label; two of one label in a window answer for each other.
  local function widget(context, called, label)
    inside(context, called)
    local id = label:match("##.*$") or label
    if id == "" then fake.refuse("ImGui_" .. called .. " without a label", 4) end
    if context.ids[id] then fake.refuse("ImGui: two widgets are called '" .. label .. "'", 4) end
    context.ids[id] = true
    context.frame[#context.frame + 1] = label
  end

  function impl.ImGui_CreateContext(label, _)
    local context = { label = label, used = fake.tick_number, ids = {}, frame = {} }
    hand.contexts[context] = true
    return pointer("ImGui_Context", context)
  end

  function impl.ImGui_Cond_FirstUseEver() return 4 end

  function impl.ImGui_SetNextWindowSize(context, _, _, _) use(context) end

  function impl.ImGui_Begin(context, name, open, _)
    if name == "" then fake.refuse("ImGui_Begin without a name", 3) end
    if context.begun then fake.refuse("ImGui_Begin inside of another", 3) end
    use(context)
    if hand.closing and open == nil then fake.refuse("ImGui_Begin of a window that cannot be closed", 3) end
    if hand.collapsed then return false, not hand.closing end
    context.begun, context.ids, context.frame = true, {}, {}
    return true, not hand.closing
  end

  function impl.ImGui_End(context)
    inside(context, "End")
    context.begun = false
    hand.shown = context.frame
  end

  local function text(called)
    return function(context, value)
      inside(context, called)
      context.frame[#context.frame + 1] = value
    end
  end

  impl.ImGui_Text, impl.ImGui_TextWrapped = text("Text"), text("TextWrapped")

  function impl.ImGui_SameLine(context) inside(context, "SameLine") end

  function impl.ImGui_Separator(context) inside(context, "Separator") end

  function impl.ImGui_ProgressBar(context, fraction, _, _, overlay)
    inside(context, "ProgressBar")
    if fraction < 0 or fraction > 1 then fake.refuse("ImGui_ProgressBar: " .. fraction, 3) end
    context.frame[#context.frame + 1] = overlay or ""
  end

  function impl.ImGui_Button(context, label)
    widget(context, "Button", label)
    local pressed = hand.pressed[label] == true
    hand.pressed[label] = nil
    return pressed
  end

  local function editor(called)
    return function(context, label, value)
      widget(context, called, label)
      local entered = hand.entered[label]
      hand.entered[label] = nil
      if entered == nil then return false, value end
      return entered ~= value, entered
    end
  end

  impl.ImGui_Checkbox, impl.ImGui_InputText, impl.ImGui_InputInt = editor("Checkbox"), editor("InputText"), editor("InputInt")

  -- The hand ---------------------------------------------------------------------------------------------------------

  function hand.press(label) hand.pressed[label] = true end

  function hand.enter(label, value) hand.entered[label] = value end

  function hand.close() hand.closing = true end

  -- At the end of a tick: what was begun is ended.
  function hand.settle(owes)
    for context in pairs(hand.contexts) do
      if context.begun then
        owes("ImGui_Begin without ImGui_End")
        context.begun = false
      end
    end
  end

  fake.imgui_hand = hand
end
