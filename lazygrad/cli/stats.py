"""The account of a run: what was recorded, fused, compiled and found, and where the time went.

Owns: the words for the counters of `lazygrad.runtime.stats`. Must not know: how they are counted.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from rich.console import Console
from rich.table import Table

from lazygrad.ir.printer import size_text
from lazygrad.runtime.memory import pool
from lazygrad.runtime.stats import stats

DUMP = "python -m lazygrad dump {script} --stage source"


def stats_record() -> dict[str, Any]:
    """All counters as plain data."""
    return {f.name: getattr(stats, f.name) for f in fields(stats)}


def _rows() -> list[tuple[str, str, str]]:
    built = (
        f"{stats.built} planned, {stats.disk_hits} found on disk, {stats.program_hits} in memory"
    )
    rows = [
        ("ops recorded", f"{stats.nodes:,}", f"in {stats.realizes:,} programs run"),
        ("programs", f"{stats.built + stats.disk_hits:,}", built),
        ("kernels run", f"{stats.kernels:,}", _per_op()),
        ("compiles", f"{stats.compiles:,}", f"{stats.kernel_hits} kernels were compiled before"),
        ("memory", size_text(pool.peak), "at most in use at one time"),
    ]
    if stats.interpreted:
        rows.append(("interpreted", f"{stats.interpreted:,}", "programs run by numpy"))
    return rows


def _per_op() -> str:
    return f"{stats.nodes / stats.kernels:.1f} ops a kernel" if stats.kernels else ""


def print_stats(console: Console | None = None, script: str = "demo") -> None:
    """What was fused and compiled so far, and how to see the C of it."""
    from lazygrad.cli.output import console as make_console

    console = make_console() if console is None else console
    shown = Table.grid(padding=(0, 2))
    shown.add_column()
    shown.add_column(justify="right")
    shown.add_column(style="dim")
    for name, count, note in _rows():
        shown.add_row(name, count, note)
    for stage, seconds in sorted(stats.seconds.items(), key=lambda item: -item[1]):
        shown.add_row(f"time: {stage}", f"{1000 * seconds:.1f} ms", "")
    console.print(shown)
    console.print(
        f"the C of all of it: {DUMP.format(script=script)}", highlight=False, soft_wrap=True
    )
