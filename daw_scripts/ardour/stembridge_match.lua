ardour {
  ["type"] = "EditorAction",
  name = "stembridge: Match reference",
  license = "Apache-2.0",
  author = "stembridge",
  description = [[The band plays in the sound of the selected audio regions.]]
}

-- Ardour keeps this function alone, as byte code; all else is read from the folder `stembridge` beside the script.
function factory(params)
  return function()
    local folder = params["x-script-origin"]:gsub("[^/\\]*$", "")
    local use = assert(loadfile(folder .. "stembridge/use.lua"))()(folder)
    use("wish").match()
  end
end
