ardour {
  ["type"] = "EditorAction",
  name = "stembridge: Continue",
  license = "Apache-2.0",
  author = "stembridge",
  description = [[The band goes on after its take: over the next range, or over the selected bars.]]
}

-- Ardour keeps this function alone, as byte code; all else is read from the folder `stembridge` beside the script.
function factory(params)
  return function()
    local folder = params["x-script-origin"]:gsub("[^/\\]*$", "")
    local use = assert(loadfile(folder .. "stembridge/use.lua"))()(folder)
    use("wish")["continue"]()
  end
end
