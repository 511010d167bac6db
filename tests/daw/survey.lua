-- Returns all tracks, their playlists and the regions in them as JSON: what the test compares.
local use = ...
local json = use("json")

local function survey_regions(playlist)
  local regions = json.array()
  for region in playlist:region_list():iter() do
    local item = {
      name = region:name(), sample = region:position():samples(), tick = region:position():ticks(),
      samples = region:length():samples(), ticks = region:length():ticks(), start = region:start():ticks(),
      source = region:source(0):to_stateful():id():to_s(),
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
  return regions
end

local tracks = json.array()
for route in Session:get_tracks():iter() do
  local track, others = route:to_track(), {}
  for playlist in Session:playlists():playlists_for_track(track):iter() do
    if playlist:name() ~= track:playlist():name() then others[playlist:name()] = survey_regions(playlist) end
  end
  tracks[#tracks + 1] = {
    name = route:name(), comment = route:comment(), playlist = track:playlist():name(), others = others,
    regions = survey_regions(track:playlist()),
  }
end
return json.encode(tracks)
