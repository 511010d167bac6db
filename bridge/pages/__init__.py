"""Pages for people, made of an answer: one file each, with no script and nothing from the network."""
