"""`stembridge osc`: the table of OSC addresses, printed from the one that the server dispatches by."""

from __future__ import annotations

import argparse

from bridge.terminal import print_table
from bridge.transport.osc import osc_table


def run(arguments: argparse.Namespace) -> int:
    """Prints the table."""
    del arguments
    rows = [(row.address, row.arguments, row.meaning) for row in osc_table()]
    print_table(("address", "arguments", "meaning"), rows, left=(0, 1, 2))
    return 0
