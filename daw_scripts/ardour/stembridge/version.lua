-- What this script is, for the engine's greeting and for `stembridge doctor`.
return { version = "0.1.0", protocol = 1 }
