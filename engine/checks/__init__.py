"""Checks: no stem reaches a track unmeasured."""

from engine.checks.stem import Problem, StemVerdict, check_mix, check_stem

__all__ = ["Problem", "StemVerdict", "check_mix", "check_stem"]
