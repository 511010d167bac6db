ardour {
  ["type"] = "EditorAction",
  name = "stembridge: Progress",
  license = "Apache-2.0",
  author = "stembridge",
  description = [[Shows what the band is doing.]]
}

-- Ardour keeps this function alone, as byte code; all else is read from the folder `stembridge` beside the script.
function factory(params)
  return function()
    local folder = params["x-script-origin"]:gsub("[^/\\]*$", "")
    local use = assert(loadfile(folder .. "stembridge/use.lua"))()(folder)
    use("wish").progress()
  end
end
