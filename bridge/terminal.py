"""What the commands print: progress bars and tables for people, one JSON value per line for machines."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bridge.messages import Accepted, Cancelled, Done, Event, Failed, PieceReady, Progress, StemReady, encode

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

EXIT = {Done: 0, Cancelled: 130}


def print_json(event: Event) -> None:
    """One event as one line."""
    sys.stdout.buffer.write(encode(event) + b"\n")
    sys.stdout.buffer.flush()


def exit_code(event: Event) -> int:
    """0 done, 2 refused, 3 failed, 130 cancelled."""
    if isinstance(event, Failed):
        return 2 if event.refused else 3
    return EXIT.get(type(event), 0)


def follow(events: Iterable[Event], *, as_json: bool) -> tuple[Event | None, list[StemReady]]:
    """Shows a job's events as they come. Gives its last event and all its stems."""
    stems: list[StemReady] = []
    last: Event | None = None
    if as_json:
        for last in events:
            print_json(last)
            if isinstance(last, StemReady):
                stems.append(last)
        return last, stems
    with _bar() as (bar, task):
        for last in events:
            if isinstance(last, Accepted):
                bar.update(task, description="queued" if last.position else "starting")
            elif isinstance(last, Progress):
                bar.update(task, completed=last.fraction, description=last.stage)
                if last.note:
                    bar.console.print(f"  [dim]{last.note}[/dim]")
            elif isinstance(last, PieceReady):
                told = ", ".join(last.sections)
                bar.console.print(f"  to hear already: {last.stem}, {told}  {last.wav}", soft_wrap=True)
            elif isinstance(last, StemReady):
                stems.append(last)
                bar.console.print(f"  stem ready: [bold]{last.stem}[/bold]  {last.wav}", soft_wrap=True)
    return last, stems


@contextmanager
def _bar() -> Iterator[tuple[Bar, TaskID]]:
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description:>10}"), BarColumn(40), TextColumn("{task.percentage:>3.0f} %"))
    with Bar(*columns, TimeElapsedColumn(), console=console()) as bar:
        task = bar.add_task("waiting", total=1.0)
        yield bar, task


def console() -> Console:
    """Where people read; wide enough for a table when the output is not a terminal."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def print_stems(stems: Iterable[StemReady]) -> None:
    """The closing table: what each stem is and what was measured on it."""
    rows = [
        (
            f"{s.stem} (take {s.take})" if s.take > 1 else s.stem,
            f"{s.start_sample}",
            f"{s.samples}",
            number(s.checks.onset_ms_median, "{:.2f}"),
            number(s.checks.onset_ms_p99, "{:.2f}"),
            number(s.checks.in_key, "{:.1%}"),
            number(s.checks.lufs, "{:.1f}"),
            number(s.checks.true_peak_dbfs, "{:.1f}"),
            ", ".join(s.checks.repaired) or "-",
        )
        for s in stems
    ]
    heads = ("stem", "start sample", "samples", "onset ms", "99 %", "in key", "LUFS", "peak dBFS", "repaired")
    print_table(heads, rows, left=(0, 8))


def number(value: float | None, form: str) -> str:
    """A measured value, or a dash where it does not apply."""
    return "-" if value is None else form.format(value)


def print_table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]], left: tuple[int, ...] = (0,)) -> None:
    """A plain table; columns are right-aligned but for those in `left`."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for i, head in enumerate(heads):
        table.add_column(head, justify="left" if i in left else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table)


def print_failure(event: Event | None) -> None:
    """What went wrong, where, and what to do, on standard error."""
    if isinstance(event, Failed):
        where = f"{event.field}: " if event.field else ""
        hint = f" {event.hint}" if event.hint else ""
        print(f"stembridge: {where}{event.message}{hint}", file=sys.stderr)
    elif isinstance(event, Cancelled):
        print("stembridge: cancelled.", file=sys.stderr)
    elif event is None:
        print("stembridge: the engine said nothing.", file=sys.stderr)
