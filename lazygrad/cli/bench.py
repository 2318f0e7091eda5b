"""`lazygrad bench`: workloads measured beside the peers, shown as a table, kept as JSON.

Owns: what is printed, and which files are written. Must not know: how anything is measured.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from lazygrad.bench import report
from lazygrad.bench.peers import PEERS
from lazygrad.bench.session import Options, merged, run, steps
from lazygrad.bench.workloads import WORKLOADS
from lazygrad.cli.output import console, error, print_json, table

_STYLE = {"yes": "green", "no": "bold red"}


def unknown(names: tuple[str, ...], known: dict[str, Any], what: str) -> bool:
    """Say which names there are, if one is not among them."""
    wrong = [n for n in names if n not in known]
    if wrong:
        error(f"no {what} is called {wrong[0]!r}; there are: {', '.join(known)}")
    return bool(wrong)


def run_bench(
    options: Options, as_json: bool, out: Path | None, page: Path | None, add: bool = False
) -> int:
    """Measure, print and write; `add` keeps what `out` has of other workloads. The exit code."""
    if unknown(tuple(options.workloads), WORKLOADS, "workload"):
        return 2
    if unknown(tuple(options.peers), PEERS, "peer"):
        return 2
    if add and out is None:
        error("--add needs --out, the record to add to")
        return 2
    earlier = json.loads(out.read_text(encoding="utf-8")) if add and out and out.exists() else None

    def save(record: report.Record) -> None:
        if out is not None:
            whole = merged(earlier, record) if earlier else record
            out.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")

    columns = (TextColumn("{task.description:40}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        task = progress.add_task("start", total=steps(options))
        record = run(options, lambda text: progress.update(task, advance=1, description=text), save)
    if earlier:
        record = merged(earlier, record)
    if page is not None:
        notes = report.notes_of(page.read_text(encoding="utf-8")) if page.exists() else ""
        page.write_text(report.page(record, notes), encoding="utf-8")
    if as_json:
        print_json(record)
    else:
        show(record)
    return 0


def show(record: report.Record) -> None:
    """The table for people."""
    made = table(*report.HEAD, right=("threads", "lazygrad", "lg.jit", "its time", "ratio", "goal"))
    for line in report.lines(record):
        cells = report.cells(line)
        style = _STYLE.get(cells[8], "")
        cells[8] = f"[{style}]{cells[8]}[/]" if style else cells[8]
        made.add_row(*cells)
    screen = console()
    screen.print(made)
    if record.get("first"):
        first = table(*report.FIRST_HEAD, right=report.FIRST_HEAD[2:-1])
        for row in report.first_cells(record):
            first.add_row(*row)
        screen.print(first)
    for row in record["results"]:
        if "failed" in row:
            screen.print(
                f"{row['workload']}, {row['peer']}, {row['threads']} threads: {row['failed']}",
                markup=False,
            )
    if record["busy"]:
        screen.print(
            f"[yellow]The machine was busy ({record['load before']:.0%} of its cores): "
            "these figures mean little.[/]"
        )


def show_page(record: Path, page: Path) -> int:
    """Write the page of a record that was made before."""
    notes = report.notes_of(page.read_text(encoding="utf-8")) if page.exists() else ""
    data = json.loads(record.read_text(encoding="utf-8"))
    page.write_text(report.page(data, notes), encoding="utf-8")
    return 0


def show_comparison(old: Path, new: Path, as_json: bool) -> int:
    """What changed beyond the noise between two records."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in (old, new)]
    changes = list(report.compare(*records))
    if as_json:
        keys = ("workload", "peer", "threads", "old", "new", "ratio")
        print_json([dict(zip(keys, change)) for change in changes])
        return 0
    if not changes:
        console().print("nothing changed beyond the noise")
        return 0
    made = table("workload", "peer", "threads", "before", "after", "ratio", right=("ratio",))
    for workload, peer, threads, before, after, ratio in changes:
        made.add_row(workload, peer, str(threads), report.time_text(before),
                     report.time_text(after), f"{ratio:.2f}")  # fmt: skip
    console().print(made)
    return 0


def show_counts(write: Path | None, instructions: bool) -> int:
    """What each workload costs in counts that repeat."""
    from lazygrad.bench import counts

    found = counts.counts()
    if instructions:
        try:
            for name in counts.INSTRUCTIONS:
                found[name]["instructions"] = counts.instructions(name)
        except (FileNotFoundError, RuntimeError) as problem:
            error(str(problem))
            return 1
    if write is not None:
        write.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    heads = list(dict.fromkeys(k for row in found.values() for k in row))
    made = table("workload", *heads, right=tuple(heads))
    for name, row in found.items():
        made.add_row(name, *(f"{row[k]:,}" if k in row else "-" for k in heads))
    console().print(made)
    return 0


def show_python(as_json: bool) -> int:
    """What Python costs, beside its goals."""
    from lazygrad.bench import python_time

    rows = python_time.measure()
    if as_json:
        print_json(rows)
        return 0
    made = table(*python_time.HEAD, right=("time", "goal"))
    for row in rows:
        made.add_row(*python_time.cells(row))
    console().print(made)
    return 0


def draw(record: Path, folder: Path) -> int:
    """Write the pictures of a record as PNG files."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        error("plots need matplotlib: pip install 'lazygrad[bench]'")
        return 1
    from lazygrad.bench import plots

    data = json.loads(record.read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    plots.ratios(data, folder / "ratios.png")
    if data.get("kernels"):
        plots.roofline(data, folder / "roofline.png")
    if data.get("scaling"):
        plots.scaling(data, folder / "scaling.png")
    return 0
