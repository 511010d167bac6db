ardour {
  ["type"] = "EditorAction",
  name = "stembridge: Add part",
  license = "Apache-2.0",
  author = "stembridge",
  description = [[Adds a part to the take that the band has played, on a new track.]]
}

-- Ardour keeps this function alone, as byte code; all else is read from the folder `stembridge` beside the script.
function factory(params)
  return function()
    local folder = params["x-script-origin"]:gsub("[^/\\]*$", "")
    local use = assert(loadfile(folder .. "stembridge/use.lua"))()(folder)
    use("wish").add()
  end
end
