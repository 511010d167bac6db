ardour {
  ["type"] = "EditorAction",
  name = "stembridge: Re-roll selection",
  license = "Apache-2.0",
  author = "stembridge",
  description = [[Writes the selected bars of the selected tracks of the band anew; all of them where none is selected.
The earlier version stays: choose its playlist, or undo.]]
}

-- Ardour keeps this function alone, as byte code; all else is read from the folder `stembridge` beside the script.
function factory(params)
  return function()
    local folder = params["x-script-origin"]:gsub("[^/\\]*$", "")
    local use = assert(loadfile(folder .. "stembridge/use.lua"))()(folder)
    use("wish").reroll()
  end
end
