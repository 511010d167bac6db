-- The modules, each loaded once: those of Ardour from this folder, those that all DAWs share from `lua` (inside this
-- folder where the script is installed, beside it in the source tree). `scripts` is the folder of the scripts, ending
-- in a separator. A module is a table, or a function that is given `use` and returns one.

return function(scripts)
  local FOLDERS = { "stembridge/", "stembridge/lua/", "../lua/" }
  local loaded = {}

  local function find(name)
    for _, folder in ipairs(FOLDERS) do
      local path = scripts .. folder .. name .. ".lua"
      local file = io.open(path, "rb")
      if file then
        file:close()
        return path
      end
    end
    error("stembridge is not installed completely: " .. name .. ".lua is missing beside " .. scripts
      .. "stembridge.lua. Run: stembridge install ardour", 0)
  end

  local function use(name)
    if loaded[name] == nil then
      local chunk = assert(loadfile(find(name)))()
      loaded[name] = type(chunk) == "function" and chunk(use) or chunk
    end
    return loaded[name]
  end

  return use
end
