"""More than one worker, on this machine or on several: workers as Ray actors (extra `ray`).

The front process is the same; its crew's workers are `handle.ActorWorker`s in place of processes. Ray places the actors
by memory (`needs`), carries stems through its object store and tells when an actor dies; nothing here schedules. Jobs
run on the front's machine, where the project's files are; all actors, also those on other machines, play stems for
each other (`helping`).
"""
