"""Masked discrete diffusion of the score: all parts in parallel, around whatever is given."""
