-- What the user has set for a project: words of style, seed, takes, stems, reference. Plain Lua.

return function(use)
  local request = use("request")
  local settings = {}

  -- Settings as they are stored; what is missing or wrong becomes the default.
  function settings.read(stored)
    local made = request.settings(stored)
    local given = type(stored) == "table" and stored or {}
    made.reference = type(given.reference) == "string" and given.reference or ""
    return made
  end

  return settings
end
