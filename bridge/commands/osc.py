"""`stembridge osc`: the table of OSC addresses, printed from the one that the server dispatches by."""

from __future__ import annotations

import argparse

from bridge.terminal import print_table
from bridge.transport.osc_table import osc_answers, osc_table


def run(arguments: argparse.Namespace) -> int:
    """Prints the table."""
    del arguments
    asked = [(row.address, row.arguments, row.meaning) for row in osc_table()]
    print_table(("address", "arguments", "meaning"), asked, left=(0, 1, 2))
    answers = [(row.address, row.arguments, row.meaning) for row in osc_answers()]
    print_table(("answer", "arguments", "meaning"), answers, left=(0, 1, 2))
    return 0
