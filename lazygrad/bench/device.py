"""Measuring on a device with memory of its own: `lazygrad bench --device NAME`, in plain text.

Owns: the run (limits, correctness at a small size, times at the large one) and its short table.
Must not know: how a peer computes, or what kind of device it is. It needs neither click nor rich:
`python -m lazygrad bench --device NAME` works where nothing but numpy, jinja2, networkx and the
device's own package is installed.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lazygrad.bench.large import ELEMENTS, large
from lazygrad.bench.peers import OURS, PEERS
from lazygrad.bench.session import FORMAT, Options, measure_workload, opened

CHECKED = 1 << 16  # elements of the runs whose results are compared with float64
COMPARED = ("torch", "torch_compile", "jax", "cupy")
Tick = Callable[[str], None]


def run(
    device: str,
    elements: int = ELEMENTS,
    names: Sequence[str] = (),
    peers: Sequence[str] = (),
    rounds: int = 5,
    tick: Tick = lambda text: None,
) -> dict[str, Any]:
    """One record: the device, its limits, errors at a small size, times at the large one."""
    chosen = [p for p in (*OURS, *COMPARED) if p in (peers or PEERS) and PEERS[p].installed()]
    workloads = large(elements)
    names = list(names or workloads)
    record: dict[str, Any] = {
        "format": FORMAT,
        "date": datetime.date.today().isoformat(),
        "device": device,
        "python": platform.python_version(),
        "elements": elements,
        "versions": {},
        "missing": [],
        "checks": [],
        "results": [],
    }
    options = Options(names, chosen, rounds=rounds)
    tick("start")
    with opened(chosen, 1, device) as workers:
        record["missing"] = [peer for peer in chosen if peer not in workers]
        for peer, worker in workers.items():
            record["versions"][PEERS[peer].module] = worker.opened["version"]
        ours = next((w for p, w in workers.items() if p in OURS), None)
        if ours is None:
            return record
        tick("limits")
        record |= ours.ask("limits", elements=elements)
        for name in names:
            for peer in (p for p in workers if p in OURS):
                tick(f"check {name}: {peer}")
                answer = workers[peer].ask("prepare", name=name, seed=0, elements=CHECKED)
                record["checks"].append(
                    {
                        "workload": name,
                        "peer": peer,
                        "error": answer.get("error"),
                        "allowed": workloads[name].tolerance,
                        "failed": answer.get("failed", ""),
                    }
                )
                workers[peer].ask("drop")
        for name in names:
            record["results"] += measure_workload(
                name, workers, options, tick, elements=elements, check=False
            )
    return record


# -- the table ------------------------------------------------------------------------------------
def _time(seconds: float | None) -> str:
    from lazygrad.bench.report import time_text

    return time_text(seconds)


def rows_of(record: dict[str, Any]) -> list[list[str]]:
    """The table: a line of heads, then one for each workload."""
    workloads = large(record["elements"])
    times: dict[str, dict[str, float]] = {}
    for row in record["results"]:
        if "median" in row:
            times.setdefault(row["workload"], {})[row["peer"]] = row["median"]
    peers = [p for p in COMPARED if any(p in found for found in times.values())]
    table = [["workload", "time", "lg.jit", "rate", "of limit", *(f"x {p}" for p in peers)]]
    limits = record.get("limits", {})
    for name in dict.fromkeys(row["workload"] for row in record["results"]):
        w, found = workloads[name], times.get(name, {})
        plain, jit = (found.get(p) for p in OURS)
        best = min((t for t in (plain, jit) if t is not None), default=None)
        rate, part = "-", "-"
        if best is not None and (w.flops or w.bytes):
            amount = (w.flops or w.bytes) / best
            rate = f"{amount / 1e12:.3g} TFLOP/s" if w.flops else f"{amount / 1e9:.3g} GB/s"
            if limits.get(w.limit):
                part = f"{amount / limits[w.limit]:.2f}"
        ratios = [f"{found[p] / best:.2f}" if best and p in found else "-" for p in peers]
        table.append([w.title, _time(plain), _time(jit), rate, part, *ratios])
    return table


def text_of(record: dict[str, Any]) -> str:
    """What is printed at the end: correctness first."""
    wrong = [c for c in record["checks"] if not is_right(c)]
    lines = [
        f"{record.get('name', record['device'])}, Python {record['python']}, {record['date']}; "
        + ", ".join(f"{k} {v}" for k, v in record["versions"].items())
    ]
    if "limits" in record:
        copy, product = record["limits"]["copy"], record["limits"]["product"]
        lines.append(
            f"limits: copy {copy / 1e9:.4g} GB/s, float32 matrix product "
            + (f"{product / 1e12:.4g} TFLOP/s" if product else "not measured: no library for it")
        )
    lines.append(f"correct: {len(record['checks']) - len(wrong)} of {len(record['checks'])}")
    for c in wrong:
        what = c["failed"] or f"relative error {c['error']:.1e}, more than {c['allowed']:.0e}"
        lines.append(f"  WRONG {c['workload']}, {c['peer']}: {what}")
    lines += [f"  {peer} did not start" for peer in record["missing"]]
    lines += [
        f"  {row['workload']}, {row['peer']}: {row['failed']}"
        for row in record["results"]
        if "failed" in row
    ]
    table = rows_of(record)
    widths = [max(map(len, column)) for column in zip(*table)]
    for row in table:
        _, *rest = (cell.rjust(width) for cell, width in zip(row, widths))
        lines.append("  ".join([row[0].ljust(widths[0]), *rest]))
    lines.append("x peer: its time over ours, the better of plain and lg.jit")
    return "\n".join(lines)


def is_right(check: dict[str, Any]) -> bool:
    return check["error"] is not None and check["error"] <= check["allowed"]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Gives 1 where a result is wrong or nothing could be measured."""
    parser = argparse.ArgumentParser("lazygrad bench", description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--device", required=True)
    parser.add_argument("--elements", type=float, default=ELEMENTS, help="of large arrays")
    parser.add_argument("-w", "--workload", action="append", default=[], choices=[*large(CHECKED)])
    parser.add_argument("-p", "--peer", action="append", default=[], choices=[*OURS, *COMPARED])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the record, as JSON")
    given = parser.parse_args(arguments)
    start = time.monotonic()

    def tick(text: str) -> None:
        print(f"[{time.monotonic() - start:5.0f} s] {text}", flush=True)

    peers = [*OURS, *given.peer] if given.peer else ()
    record = run(given.device, int(given.elements), given.workload, peers, given.rounds, tick)
    if given.out is not None:
        given.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"\n{text_of(record)}")
    return 0 if record["results"] and all(map(is_right, record["checks"])) else 1
