ardour {
  ["type"] = "EditorAction",
  name = "stembridge: Next take",
  license = "Apache-2.0",
  author = "stembridge",
  description = [[The last wish once more with the next seed. The earlier take stays: choose its playlist, or undo.]]
}

-- Ardour keeps this function alone, as byte code; all else is read from the folder `stembridge` beside the script.
function factory(params)
  return function()
    local folder = params["x-script-origin"]:gsub("[^/\\]*$", "")
    local use = assert(loadfile(folder .. "stembridge/use.lua"))()(folder)
    use("wish").next()
  end
end
