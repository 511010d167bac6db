ardour {
  ["type"] = "EditorAction",
  name = "stembridge: Settings",
  license = "Apache-2.0",
  author = "stembridge",
  description = [[Style, seed, takes and stems for this session.]]
}

-- Ardour keeps this function alone, as byte code; all else is read from the folder `stembridge` beside the script.
function factory(params)
  return function()
    local folder = params["x-script-origin"]:gsub("[^/\\]*$", "")
    local use = assert(loadfile(folder .. "stembridge/use.lua"))()(folder)
    use("wish").edit_settings()
  end
end
