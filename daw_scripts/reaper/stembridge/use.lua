-- The loader of modules. Each entry script begins with
--   local use = dofile(folder .. "stembridge/use.lua")(folder)
-- A module is a table, or a function(use) that returns one. It is looked for beside this file, in `lua/` of an
-- installed script, and in `../lua/` of a checkout, where all DAWs' scripts share what is plain Lua.

return function(folder)
  local places = { folder .. "stembridge/", folder .. "lua/", folder .. "../lua/" }
  local loaded = {}

  local function read(name)
    for _, place in ipairs(places) do
      local path = place .. name .. ".lua"
      local file = io.open(path, "rb")
      if file then
        local text = file:read("a")
        file:close()
        return assert(load(text, "@" .. path))
      end
    end
    error("stembridge is not installed completely: " .. name .. ".lua is missing. Run: stembridge install reaper", 0)
  end

  local function use(name)
    if loaded[name] == nil then
      local chunk = read(name)()
      loaded[name] = type(chunk) == "function" and chunk(use) or chunk
    end
    return loaded[name]
  end

  return use
end
