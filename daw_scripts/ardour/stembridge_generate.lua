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
    local folder = params["x-script-origin"]:gsub("[^/\\]*$", "")
    local use = assert(loadfile(folder .. "stembridge/use.lua"))()(folder)
    use("wish").generate()
  end
end
