"""A record as pictures: ratios to the best peer, the roofline, time against size.

Owns: the figures, by matplotlib (the `bench` extra). Must not know: how figures were taken.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lazygrad.bench.report import Record, lines

OURS, THEIRS, FAINT = "#1f5fa8", "#c26a1b", "#9a9a9a"


def _axes(width: float, height: float) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def ratios(record: Record, path: Path) -> None:
    """Bars: how many times faster than the best peer, for each workload."""
    made = [line for line in lines(record) if line.ratio is not None]
    names = list(dict.fromkeys(line.workload.name for line in made))
    threads = sorted({line.threads for line in made})
    figure, axes = _axes(8, 0.3 * len(names) + 1.5)
    for number, count in enumerate(threads):
        here = [line for line in made if line.threads == count]
        height = 0.8 / len(threads)
        axes.barh(
            [names.index(line.workload.name) + height * (number - 0.5) for line in here],
            [line.ratio for line in here],
            height,
            label=f"{count} thread{'s' if count > 1 else ''}",
            color=(OURS, THEIRS)[number % 2],
        )
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log", base=2)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("time of the best peer / time of lazygrad (right of 1: lazygrad is faster)")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=130)


def roofline(record: Record, path: Path) -> None:
    """Every kernel of every workload: what it computes a byte against how fast it does so."""
    measured = {str(k["threads"]) for k in record.get("kernels", []) if "threads" in k}
    known = {n: limits for n, limits in record["limits"].items() if n in measured or not measured}
    threads, limits = max(known.items(), key=lambda item: int(item[0]))
    kernels = [k for k in record.get("kernels", []) if k["flops"] and k["bytes"] and k["seconds"]]
    figure, axes = _axes(8, 5)
    low, high = 0.02, 500.0
    corner = limits["fma"] / limits["read"]
    axes.plot([low, corner, high], [low * limits["read"], limits["fma"], limits["fma"]],
              color="black", linewidth=1)  # fmt: skip
    axes.text(high, limits["fma"] * 1.05, f"multiply-add {limits['fma']:.0f} GFLOP/s", ha="right")
    axes.text(low * 1.2, low * limits["read"] * 2.2, f"read {limits['read']:.0f} GB/s", rotation=37)
    for product, colour, word in ((True, THEIRS, "products"), (False, OURS, "all others")):
        chosen = [k for k in kernels if k["product"] is product]
        axes.scatter(
            [k["flops"] / k["bytes"] for k in chosen],
            [k["flops"] / k["seconds"] / 1e9 for k in chosen],
            s=[10 + 40 * min(k["seconds"] / 1e-2, 1) for k in chosen],
            color=colour, alpha=0.7, label=word, linewidth=0,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("operations a byte that must be moved (a function such as exp counts as one)")
    axes.set_ylabel(f"GFLOP/s, {threads} thread{'s' if threads != '1' else ''}")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=130)


def scaling(record: Record, path: Path) -> None:
    """Time against the number of elements, and against the number of ops."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, both = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axes, kind, label in zip(both, ("size", "length"), ("elements", "ops in the graph")):
        axes.spines[["top", "right"]].set_visible(False)
        rows = [r for r in record.get("scaling", []) if r["kind"] == kind]
        for peer in dict.fromkeys((r["peer"], r["threads"]) for r in rows):
            here = [r for r in rows if (r["peer"], r["threads"]) == peer]
            name, threads = peer
            axes.plot([r["n"] for r in here], [r["seconds"] * 1e3 for r in here],
                      "o-" if threads == 1 else "s--", markersize=3,
                      label=f"{name}, {threads} thread{'s' if threads > 1 else ''}",
                      color=OURS if name.startswith("lazygrad") else None)  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(label)
        axes.set_ylabel("ms")
        axes.legend(frameon=False, fontsize=7)
    figure.savefig(path, dpi=130)
