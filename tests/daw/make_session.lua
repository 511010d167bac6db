-- ardour7-lua: a session without a window. $SESSION_DIR; $RATE in Hz; $TEMPI "beat:bpm ..."; $METRES "beat:beats/unit ...";
-- $RANGES "name:from:to ..." (beats).
local folder = os.getenv("SESSION_DIR")
local session = assert(create_session(folder, "song", math.tointeger(os.getenv("RATE"))), "no session")
Session = session
local function at(beat) return Temporal.timepos_t.from_ticks(math.floor(Temporal.ticks_per_beat * beat)) end

local map = Temporal.TempoMap.write_copy and Temporal.TempoMap.write_copy() or Temporal.TempoMap.fetch_writable()
for beat, bpm in os.getenv("TEMPI"):gmatch("([%d.]+):([%d.]+)") do
  map:set_tempo(Temporal.Tempo(tonumber(bpm), tonumber(bpm), 4), at(tonumber(beat)))
end
for beat, beats, unit in os.getenv("METRES"):gmatch("([%d.]+):(%d+)/(%d+)") do
  map:set_meter(Temporal.Meter(tonumber(beats), tonumber(unit)), at(tonumber(beat)))
end
Temporal.TempoMap.update(map)
map = nil

for name, from, to in os.getenv("RANGES"):gmatch("(%a+):([%d.]+):([%d.]+)") do
  local now = Temporal.TempoMap.read()
  local a, b = now:sample_at(at(tonumber(from))), now:sample_at(at(tonumber(to)))
  session:locations():add_range(Temporal.timepos_t(a), Temporal.timepos_t(b)):set_name(name)
end
session:save_state("")
close_session()
quit()
