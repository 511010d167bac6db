"""The engine's figures as text: the exposition format that Prometheus reads, and a page for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bridge.messages import JobList, Stat

PREFIX = "stembridge_"
GIB = 1 << 30
MEGABYTE = 1 << 20


def stats2prometheus(stats: Iterable[Stat]) -> str:
    """Prometheus' text format 0.0.4: each name once with its help and kind, then all its values."""
    by_name: dict[str, list[Stat]] = {}
    for stat in stats:
        by_name.setdefault(stat.name, []).append(stat)
    lines = []
    for name, same in by_name.items():
        if same[0].help:
            lines.append(f"# HELP {name} {same[0].help}")
        lines.append(f"# TYPE {name} {same[0].kind}")
        for stat in same:
            labels = ",".join(f'{label}="{_escaped(value)}"' for label, value in sorted(stat.labels.items()))
            lines.append(f"{name}{{{labels}}} {stat.value!r}" if labels else f"{name} {stat.value!r}")
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def stats2page(stats: Sequence[Stat], jobs: JobList) -> list[str]:
    """Lines for people: device, memory, models, queue, rates, refusals. What is not known yet is left out."""
    figures = Figures(stats)
    lines = []
    for stat in figures.named("device_memory_bytes"):
        ram, free = figures.value("ram_bytes"), figures.value("ram_free_bytes")
        room = f", {free / GIB:.1f} GiB free" if free else ""
        own = f" with {stat.value / GIB:.1f} GiB," if stat.labels["device"] != "cpu" else ","
        lines.append(f"device:   {stat.labels['device']} {stat.labels['name']}{own} RAM {ram / GIB:.1f} GiB{room}")
    memory = [f"{s.labels['process']} {s.value / MEGABYTE:.0f} MB" for s in figures.named("resident_bytes")]
    memory += [f"{s.labels['process']} {s.value / GIB:.1f} GiB of the GPU" for s in figures.named("accelerator_bytes")]
    lines.append(f"memory:   {', '.join(memory)}")
    models = dict.fromkeys(s.labels["model"] for s in figures.named("model_loaded"))
    lines.append(f"models:   {', '.join(models) or 'none in memory'}")
    states = {s.labels["state"]: round(s.value) for s in figures.named("jobs")}
    queue = ", ".join(f"{number} {state}" for state, number in states.items() if number) or "empty"
    lines.append(f"queue:    {queue}{' (held: no further job is begun)' if figures.value('queue_paused') else ''}")
    for row in jobs.jobs:
        if row.state == "running":
            ready = "" if row.eta is None else f", ready in {row.eta:.0f} s"
            lines.append(f"          {row.job}: {row.stage or 'begins'}, {row.fraction:.0%}{ready}")
    ended = {s.labels["state"]: round(s.value) for s in figures.named("jobs_total")}
    lines.append(f"ended:    {', '.join(f'{number} {state}' for state, number in ended.items()) or 'none yet'}")
    rate, music = figures.value("jobs_per_minute"), figures.value("stem_seconds_per_minute")
    lines.append(f"rates:    {rate:.1f} jobs and {music:.0f} stem-seconds a minute (last ten minutes)")
    refused = [f"{s.labels['reason']} {s.value:.0f}" for s in figures.named("refusals_total")]
    lines.append(f"refused:  {', '.join(refused) or 'nothing'}")
    return lines


class Figures:
    """Stats by the end of their name."""

    def __init__(self, stats: Sequence[Stat]) -> None:
        self._stats = stats

    def named(self, name: str) -> list[Stat]:
        """All of that name."""
        return [stat for stat in self._stats if stat.name == PREFIX + name]

    def value(self, name: str) -> float:
        """The value of the only one of that name; 0 where there is none."""
        return next((stat.value for stat in self.named(name)), 0.0)
