ardour {
  ["type"] = "EditorAction",
  name = "stembridge: Generate band",
  license = "Apache-2.0",
  author = "stembridge",
  description = [[Asks the stembridge engine for a band that plays the marked ranges.
Stems and MIDI land on new tracks.]]
}

-- Ardour keeps this function alone, as byte code; all else is read from the folder `stembridge` beside the script.
function factory(params)
  return function()
    local origin = params["x-script-origin"]:gsub("[^/\\]*$", "")
    local loaded = {}
    local function use(name)
      if loaded[name] == nil then
        local chunk = assert(loadfile(origin .. "stembridge/" .. name .. ".lua"))()
        loaded[name] = type(chunk) == "function" and chunk(use) or chunk
      end
      return loaded[name]
    end
    use("wish").generate()
  end
end
