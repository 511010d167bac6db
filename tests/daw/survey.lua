-- Returns all tracks and their regions as JSON: what the test compares.
local use = ...
local json = use("json")
local tracks = json.array()
for route in Session:get_tracks():iter() do
  local regions = json.array()
  for region in route:to_track():playlist():region_list():iter() do
    local item = {
      name = region:name(), sample = region:position():samples(), tick = region:position():ticks(),
      samples = region:length():samples(), ticks = region:length():ticks(), start = region:start():ticks(),
    }
    local audio, midi = region:to_audioregion(), region:to_midiregion()
    if not audio:isnil() then
      item.fades = audio:fade_in_active() or audio:fade_out_active()
      item.gain = audio:scale_amplitude()
      item.channels = audio:n_channels()
    end
    if not midi:isnil() then
      item.notes = json.array()
      for note in ARDOUR.LuaAPI.note_list(midi:model()):iter() do
        local at, length = note:time():str(), note:length():str()
        item.notes[#item.notes + 1] = json.array({ at, length, note:note(), note:velocity() })
      end
    end
    regions[#regions + 1] = item
  end
  tracks[#tracks + 1] = {
    name = route:name(), comment = route:comment(), regions = regions,
  }
end
return json.encode(tracks)
