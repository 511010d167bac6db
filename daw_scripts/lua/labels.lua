-- From the name of a range to the label of a section. The same words as the engine's `bridge/labels.py`, which the
-- tests hold in step: whole words decide, a longer word beats a shorter one, numbers and accents do not matter.

local labels = {}

labels.DEFAULT = "verse"

-- Order matters: of words of the same length the earlier label wins.
labels.WORDS = {
  { "pre-chorus", "prechorus", "pre chorus", "prehook", "pre hook", "prerefrain", "pre refrain", "vorrefrain",
    "vor refrain", "pre estribillo", "preestribillo", "pre coro", "precoro", "pre refrao", "build", "buildup",
    "build up", "riser", "lift", "aufbau", "rise" },
  { "post-chorus", "postchorus", "post chorus", "post refrain", "postrefrain", "post hook", "posthook",
    "after chorus", "nachrefrain" },
  { "intro", "intro", "introduction", "introduccion", "introduzione", "introducao", "introduktion", "einleitung",
    "vorspiel", "opening", "prelude", "entrada", "count in" },
  { "outro", "outro", "ending", "end", "ende", "schluss", "coda", "fin", "final", "finale", "fine", "fade",
    "fade out", "fadeout", "nachspiel", "tag", "slut", "salida", "abspann" },
  { "chorus", "chorus", "choruses", "refrain", "refrains", "refrein", "hook", "estribillo", "coro", "ritornello",
    "refrao", "refrang", "refraeng", "omkvaed", "omkved", "kehrvers", "chor", "cho", "chr" },
  { "verse", "verse", "verses", "vers", "strophe", "strophen", "couplet", "couplets", "estrofa", "verso", "strofa",
    "estrofe", "stanza", "vrs" },
  { "bridge", "bridge", "brucke", "bruecke", "pont", "puente", "ponte", "brug", "middle eight", "middle 8", "c teil",
    "c part", "stick" },
  { "solo", "solo", "solos", "soli", "lead break" },
  { "drop", "drop", "drops" },
  { "break", "break", "breakdown", "break down", "stop", "pause", "pausa" },
  { "interlude", "interlude", "instrumental", "zwischenspiel", "interludio", "intermezzo", "interludium",
    "turnaround", "turn around", "vamp", "riff", "link", "transition", "mellanspel", "mellemspil" },
}

-- Accented letters of the languages above, lower and upper case.
local PLAIN = {
  a = "àáâãäåāăąÀÁÂÃÄÅĀĂĄ", c = "çćčÇĆČ", d = "ďĎ", e = "èéêëēęěÈÉÊËĒĘĚ", g = "ğĞ", i = "ìíîïīÌÍÎÏĪİ", l = "ĺľĹĽ",
  n = "ñńňÑŃŇ", o = "òóôõöøōőÒÓÔÕÖØŌŐ", r = "ŕřŔŘ", s = "śşšŚŞŠ", t = "ţťŢŤ", u = "ùúûüūůűÙÚÛÜŪŮŰ", y = "ýÿÝŸ",
  z = "źżžŹŻŽ", ss = "ß", ae = "æÆ",
}
local FOLD = {}
for plain, letters in pairs(PLAIN) do
  for letter in letters:gmatch(utf8.charpattern) do FOLD[letter] = plain end
end

local function name2words(name)
  local folded = name:gsub("[\xC2-\xF4][\x80-\xBF]*", function(letter)
    if letter:find("^\xCC[\x80-\xBF]$") or letter:find("^\xCD[\x80-\xAF]$") then return "" end -- a loose accent
    return FOLD[letter] or " "
  end):lower()
  local words = {}
  for run in folded:gmatch("%w+") do
    for letters, digits in run:gmatch("(%a*)(%d*)") do
      if letters ~= "" then words[#words + 1] = letters end
      if digits ~= "" then words[#words + 1] = digits end
    end
  end
  return " " .. table.concat(words, " ") .. " "
end

-- The label that a name suggests, and whether a word was known (if not, it is `labels.DEFAULT`).
function labels.name2label(name)
  local plain = name2words(name)
  local best, length = nil, 0
  for _, row in ipairs(labels.WORDS) do
    for i = 2, #row do
      if #row[i] > length and plain:find(" " .. row[i] .. " ", 1, true) then best, length = row[1], #row[i] end
    end
  end
  return best or labels.DEFAULT, best ~= nil
end

return labels
