-- The open projects (tabs): which is which, where their files are, what stembridge keeps in them.
-- A project is known by an id in its ext state, which is saved with it; of copies, the one at the remembered path.

return function(use)
  local json, mailbox = use("json"), use("mailbox")
  local projects = {}

  projects.SECTION = "stembridge"
  local MOST_TABS = 500

  -- The user's stembridge folder, which the engine shares.
  function projects.data() return mailbox.data_folder(os.getenv) end

  -- A value kept in the project, or "".
  function projects.get(proj, key)
    local _, value = reaper.GetProjExtState(proj, projects.SECTION, key)
    return value
  end

  function projects.set(proj, key, value) reaper.SetProjExtState(proj, projects.SECTION, key, value) end

  -- A table kept in the project, or nil.
  function projects.object(proj, key)
    local ok, value = pcall(json.decode, projects.get(proj, key))
    return ok and type(value) == "table" and value or nil
  end

  -- All open projects {proj, path}, in the order of their tabs.
  function projects.open()
    local found = {}
    for i = 0, MOST_TABS do
      local proj, path = reaper.EnumProjects(i)
      if not proj then break end
      found[#found + 1] = { proj = proj, path = path or "" }
    end
    return found
  end

  -- The project in front, and its path ("" before it was saved).
  function projects.active()
    local proj, path = reaper.EnumProjects(-1)
    return proj, path or ""
  end

  local function exists(path) return path ~= "" and reaper.file_exists(path) end

  -- The project's id; one is given where it has none, or has the same as another tab that was never saved either: both
  -- were made from one template.
  function projects.id(proj, path)
    local id, taken = projects.get(proj, "id"), false
    if id ~= "" and path == "" then
      for _, one in ipairs(projects.open()) do
        taken = taken or one.proj ~= proj and one.path == "" and projects.get(one.proj, "id") == id
      end
    end
    if id == "" or taken then
      id = reaper.genGuid(""):gsub("[^%w%-]", "")
      projects.set(proj, "id", id)
    end
    return id
  end

  -- The open project that `known` {id, path} means, and its path; or nil. `live`, where given, is the tab that it was
  -- in: it stays the one when it is saved under another name. Of tabs with the same id (a copy, a template) the path
  -- decides; another path counts only where the known file is not there any more, or never was.
  function projects.find(known, live)
    local same, moved
    for _, one in ipairs(projects.open()) do
      if projects.get(one.proj, "id") == known.id then
        if one.proj == live then return one.proj, one.path end
        if one.path == known.path then same = same or one else moved = moved or one end
      end
    end
    if not same and moved and not exists(known.path) then same = moved end
    if same then return same.proj, same.path end
    return nil
  end

  -- The folder that a project lies in, or "".
  function projects.root(path) return path:match("^(.+)[/\\][^/\\]+$") or "" end

  function projects.title(path)
    local file = path:match("[^/\\]+$")
    return file and file:gsub("%.[Rr][Pp][Pp]$", "") or "untitled"
  end

  -- The folder for what stembridge writes for a project: beside a saved one, else among the user's data.
  function projects.home(id, path)
    local root = projects.root(path)
    if root ~= "" then return root .. "/stembridge" end
    return projects.data() .. "/reaper/" .. id
  end

  -- A function(name) that gives a folder in the project's home, made where it is missing. Raises an error otherwise.
  function projects.folder(home, name)
    local folder = home .. "/" .. name
    reaper.RecursiveCreateDirectory(folder, 0)
    return folder
  end

  -- Takes of the project in the order in which they came: {take = "<job>/take-N", band, asked = file of the request},
  -- at most `MOST_TAKES`.
  local MOST_TAKES = 60

  function projects.takes(proj) return projects.object(proj, "takes") or {} end

  function projects.add_take(proj, take, band, asked)
    local takes = projects.takes(proj)
    takes[#takes + 1] = { take = take, band = band, asked = asked }
    while #takes > MOST_TAKES do table.remove(takes, 1) end
    projects.set(proj, "takes", json.encode(json.array(takes)))
  end

  return projects
end
