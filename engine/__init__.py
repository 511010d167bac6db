"""The background engine: listens, composes, renders, checks and hands over. Imports `bridge`, never the reverse."""
