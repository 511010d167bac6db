"""What people say for the words that the groove book's tags use: spellings, scenes, makers, places, moods."""

from __future__ import annotations

SYNONYMS = {
    "hiphop": "hip hop", "rhythm and blues": "r&b", "r and b": "r&b", "jazzy": "jazz", "bluesy": "blues",
    "rocky": "rock", "poppy": "pop", "folky": "folk", "soulful": "soul", "dancey": "dance", "edm": "dance",
    "electronica": "electronic", "orchestra": "orchestral", "symphonic": "orchestral", "d and b": "dnb",
    "chillout": "chill", "gloomy": "dark", "songwriter": "singer songwriter", "ballade": "ballad",
    "alternative rock": "alt rock", "mellow": "chill", "score": "film score", "celtic": "folk", "valse": "waltz",
    "latino": "latin", "discotheque": "disco", "chiptune": "electro", "rocknroll": "rock and roll",
    "tropicalia": "brazilian", "industrial": "electronic", "dreamlike": "dreamy", "laidback": "laid back",
    # hip hop, R&B, soul
    "boombap": "boom bap", "new york rap": "boom bap", "nineties rap": "boom bap", "90s rap": "boom bap",
    "90s hip hop": "boom bap", "wu tang": "boom bap", "dilla": "neo soul", "j dilla": "neo soul", "badu": "neo soul",
    "d angelo": "neo soul", "new jack swing": "r&b", "quiet storm": "slow jam", "baby making": "slow jam",
    "dirty south": "trap", "phonk": "trap", "mumble rap": "trap", "808s": "808", "trappy": "trap", "plugg": "trap",
    "uk rap": "drill", "lowfi": "lofi", "chilled": "chill", "study music": "study", "lounge hop": "chillhop",
    "philly soul": "soul", "memphis soul": "stax", "aretha": "soul", "marvin gaye": "motown", "churchy": "gospel",
    "sunday": "worship", "sermon": "gospel", "james brown": "funk", "p funk": "funk", "funkadelic": "funk",
    "go go": "funk", "acid jazz": "funk", "boogie funk": "funk", "groove metal": "metal",
    # dance
    "four to the floor": "house", "four on the floor": "house", "4 on the floor": "house", "tech house": "techno",
    "afro house": "house", "garage rock": "indie", "two step garage": "uk garage", "ukgarage": "uk garage",
    "drumnbass": "drum and bass", "drum n bass": "drum and bass", "dnb": "drum and bass", "liquid dnb": "liquid",
    "jungle": "drum and bass", "amen": "jungle", "reese": "neurofunk", "riddim": "dubstep", "brostep": "dubstep",
    "peak time": "techno", "berghain": "techno", "detroit techno": "techno", "acid": "techno", "warehouse": "techno",
    "euphoric": "uplifting trance", "eurobeat": "eurodance", "hands in the air": "trance", "big room": "festival",
    "italo": "disco", "italo disco": "disco", "studio 54": "disco", "chic": "disco", "nudisco": "nu disco",
    "retro electro": "synthwave", "eighties synth": "synthwave", "80s synth": "synthwave",
    "stranger things": "synthwave",
    "new romantic": "synth pop", "depeche mode": "synth pop", "kraftwerk": "electro", "vapor": "vaporwave",
    # rock
    "guitar pop": "indie pop", "jangle": "indie", "jangly": "indie", "jangle pop": "indie", "emo": "pop punk",
    "three chord": "punk", "ramones": "punk", "hardcore punk": "punk", "stadium rock": "hard rock", "riffs": "riff",
    "ac dc": "hard rock", "led zeppelin": "hard rock", "southern rock": "hard rock", "sabbath": "stoner",
    "nirvana": "grunge", "death metal": "metal", "black metal": "metal", "progressive metal": "prog metal",
    "nwobhm": "heavy metal", "blast beats": "thrash", "headbanging": "metal", "proggy": "prog",
    "in seven": "7/8", "in five": "5/4", "seven four": "7/8", "beatlesque": "britpop", "psychedelic": "shoegaze",
    "lighters up": "lighters", "slow rock": "rock ballad", "tearjerker": "ballad", "tear jerker": "ballad",
    "hypnotic": "motorik", "post rock": "math rock", "rockabilly": "rock and roll",
    # Jamaica, Latin America, Africa, Asia
    "jamaican roots": "roots reggae", "roots reggae": "reggae", "rasta": "reggae", "marley": "reggae",
    "ragga": "dancehall",
    "lovers rock": "reggae", "two tone ska": "two tone", "third wave ska": "ska", "skanking": "skank",
    "rio": "brazilian", "ipanema": "bossa", "copacabana": "samba", "mpb": "bossa", "salsa dura": "salsa",
    "nuyorican": "salsa", "havana": "cuban", "timba": "salsa", "cumbia villera": "cumbia", "bad bunny": "reggaeton",
    "daddy yankee": "reggaeton", "neo perreo": "perreo", "latin pop": "reggaeton", "piazzolla": "nuevo tango",
    "lagos": "afrobeat", "nigerian": "afrobeat", "fela": "afrobeat", "afro pop": "afropop", "afrofusion": "afrobeat",
    "accra": "ghana", "dhol": "bhangra", "raqs": "belly dance", "anime": "j-pop", "tokyo": "city pop",
    # folk, country, jazz, film
    "singer and guitar": "acoustic", "fireside": "campfire", "unaccompanied": "acoustic", "ragtime": "dixieland",
    "boom chick": "train beat", "cowboys": "cowboy", "hillbilly": "hoedown", "fiddle and banjo": "bluegrass",
    "manouche": "swing", "gypsy jazz": "swing", "hot club": "swing", "django": "swing", "cool jazz": "cool jazz",
    "breakneck": "bebop", "charlie parker": "bebop", "coltrane": "hard bop", "late night jazz": "jazz ballad",
    "small hours": "after hours", "big band swing": "big band", "glenn miller": "big band", "sinatra": "crooner",
    "second line": "second line", "street parade": "second line", "irish reel": "reel", "irish jig": "jig",
    "film trailer": "trailer", "hans zimmer": "cinematic", "blockbuster": "epic", "thriller": "suspense",
    "taikos": "cinematic", "taiko": "cinematic", "fantasy": "adventure", "underscore": "film score",
    "drones": "drone", "weightless": "floating", "spa": "meditation", "yoga": "meditation", "eno": "ambient",
    "lullabies": "lullaby", "six eight": "6/8", "heartbroken": "heartbreak", "weepy": "sad",
    "afro cuban": "afro-cuban", "conga": "congas", "oom pah pah": "waltz",
}  # fmt: skip
"""The original words stay beside their synonym."""
