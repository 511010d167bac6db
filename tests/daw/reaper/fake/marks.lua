-- Markers and regions, by the functions of old and by those of 7.62 and 7.72: two views of one list.

return function(fake)
  local model, impl = fake.model, fake.api.impl
  local pointer = fake.api.pointer
  local CUSTOM = 0x1000000

  local function add(project, region, position, stop, name, number, colour)
    if position < 0 or region and stop <= position then fake.refuse("a region or marker from " .. position, 4) end
    if name:find("[\r\n]") then fake.refuse("a line break in the name of a region or marker", 4) end
    if colour ~= 0 and colour & CUSTOM == 0 then fake.refuse("a colour without 0x1000000 is not shown", 4) end
    local taken, highest = {}, 0
    for _, mark in ipairs(project.state.marks) do
      if mark.region == region then
        taken[mark.number] = true
        highest = math.max(highest, mark.number)
      end
    end
    if number < 0 or taken[number] then number = highest + 1 end
    local mark = {
      guid = model.guid(), region = region, position = position, stop = region and stop or position, name = name,
      number = number, colour = colour,
    }
    table.insert(project.state.marks, mark)
    model.marks_changed(project)
    model.touch(project, "misc", region and "region" or "marker")
    return number, mark.guid
  end

  fake.add_mark = add

  local function find(project, number, region)
    for i, mark in ipairs(project.state.marks) do
      if mark.number == number and mark.region == region then return i end
    end
  end

  function impl.CountProjectMarkers(project)
    local regions = 0
    for _, mark in ipairs(project.state.marks) do regions = regions + (mark.region and 1 or 0) end
    return #project.state.marks, #project.state.marks - regions, regions
  end

  function impl.EnumProjectMarkers3(project, index)
    local mark = project.state.marks[index + 1]
    if not mark then return 0, false, 0.0, 0.0, "", 0, 0 end
    return index + 1, mark.region, mark.position, mark.region and mark.stop or 0.0, mark.name, mark.number, mark.colour
  end

  function impl.AddProjectMarker2(project, region, position, stop, name, number, colour)
    return (add(project, region, position, stop, name, number, colour))
  end

  function impl.DeleteProjectMarker(project, number, region)
    local index = find(project, number, region)
    if not index then return false end
    model.own(table.remove(project.state.marks, index), nil)
    model.marks_changed(project)
    model.touch(project, "misc", "marker deleted")
    return true
  end

  -- 7.62 and later ---------------------------------------------------------------------------------------------------

  function impl.GetNumRegionsOrMarkers(project) return #project.state.marks end

  local function by_guid(project, guid)
    for _, mark in ipairs(project.state.marks) do
      if mark.guid == guid then return mark end
    end
  end

  function impl.GetRegionOrMarker(project, index, guid)
    local mark
    if index >= 0 then mark = project.state.marks[index + 1] else mark = by_guid(project, guid) end
    return pointer("ProjectMarker", mark)
  end

  local VALUES = {
    B_ISREGION = function(mark) return mark.region and 1.0 or 0.0 end,
    D_STARTPOS = function(mark) return mark.position end,
    D_ENDPOS = function(mark) return mark.stop end,
    I_NUMBER = function(mark) return mark.number + 0.0 end,
    I_CUSTOMCOLOR = function(mark) return mark.colour + 0.0 end,
    I_DISPLAYEDCOLOR = function(mark) return mark.colour + 0.0 end,
    I_LANENUMBER = function() return 0.0 end,
    B_UISEL = function() return 0.0 end,
    B_HIDDEN = function() return 0.0 end,
    B_VISIBLE = function() return 1.0 end,
  }

  function impl.GetRegionOrMarkerInfo_Value(project, mark, name)
    if model.owner(mark) ~= project then fake.refuse("GetRegionOrMarkerInfo_Value: a marker of another project", 3) end
    if name == "I_INDEX" then
      for i, other in ipairs(project.state.marks) do
        if other == mark then return i - 1.0 end
      end
    end
    if not VALUES[name] then fake.refuse("GetRegionOrMarkerInfo_Value knows no " .. name, 3) end
    return VALUES[name](mark)
  end

  function impl.GetSetRegionOrMarkerInfo_String(project, mark, name, text, set)
    if name ~= "P_NAME" and name ~= "GUID" or set and name == "GUID" then
      fake.refuse("GetSetRegionOrMarkerInfo_String: " .. name, 3)
    end
    if set then
      mark.name = text
      model.marks_changed(project)
      model.touch(project, "misc", name)
      return true, text
    end
    return true, name == "GUID" and mark.guid or mark.name
  end

  function impl.AddRegionOrMarker(project, region, position, stop, name, number, colour)
    local _, guid = add(project, region, position, stop, name, number, colour)
    return pointer("ProjectMarker", by_guid(project, guid))
  end
end
