"""Text form of plans: the strategy of a kernel, its passes, vectors and work items.

Owns: how stage 5 is shown, as plain data and as text. Must not know: how a plan becomes C. The
stages before it are shown by `lazygrad.ir.printer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lazygrad.codegen.expr import Emitter
from lazygrad.codegen.loops import BAND, CHUNK, TILE, Loops, place
from lazygrad.codegen.target import Phase, Rendered, Target
from lazygrad.ir.kernel import Kernel
from lazygrad.ir.printer import size_text

Record = dict[str, Any]

_WORK_ITEM = {  # one for each strategy of `loops`; a test compares the two
    "pointwise": f"at most {TILE} elements of the innermost axis",
    "tiled": f"{BAND} places along the axis that crosses the innermost one",
    "rows": "one row",
    "columns": "a tile of columns",
    "epilogue": "a row of a block of the product",
    "full": f"at most {CHUNK} elements, then one item that combines the partial results",
}


def plan_record(kernel: Kernel, made: Rendered, target: Target) -> Record:
    """What `codegen` decided for one kernel of the CPU."""
    loops = place(kernel)
    emitter = Emitter(kernel, target)
    strategy = loops.strategy if kernel.product is None else "epilogue"
    return loops_record(kernel, made, loops, strategy) | {
        "lanes": emitter.lanes,
        "element_bytes": emitter.width,
        "vector_bytes": emitter.lanes * emitter.width,
        "how": [f"vectors: {emitter.lanes} lanes of {emitter.width} bytes"],
        "items": f"a work item is {_WORK_ITEM[strategy]}",
    }


def loops_record(kernel: Kernel, made: Rendered, loops: Loops, strategy: str) -> Record:
    """What plans of all backends have; values are numbered as the kernel's are.

    A backend adds `how` it is done in its own words, and what a work item is (`items`).
    """
    return {
        "name": made.name,
        "strategy": strategy,
        "extents": list(kernel.extents),
        "reduced": list(kernel.reduced),
        "constants": loops.constants,
        "first": loops.first,
        "first_stores": loops.first_stores,
        "stages": [
            {
                "values": stage.values,
                "reductions": stage.reductions,
                "stores": stage.stores,
                "row_values": stage.row_values,
                "row_stores": stage.row_stores,
                "saves": stage.saves,
                "loads": stage.loads,
            }
            for stage in loops.stages
        ],
        "parameters": len(made.dims),
        "error_cells": len(made.errors),
        "scratch": made.scratch,
    }


def _names(letter: str, numbers: list[int]) -> str:
    return " ".join(f"{letter}{n}" for n in numbers)


def _doing(*parts: tuple[str, str, list[int]]) -> str:
    """computes v1 v2, reduces v3, stores s0: what there is of it."""
    said = [f"{verb} {_names(letter, numbers)}" for verb, letter, numbers in parts if numbers]
    return ", ".join(said)


def plan_text(record: Record) -> str:
    axes = ", ".join(
        f"{n}{' reduced' if r else ''}" for n, r in zip(record["extents"], record["reduced"])
    )
    lines = [
        f"plan {record['name']}: {record['strategy']} over ({axes})",
        *(f"  {line}" for line in record["how"]),
    ]
    once = _doing(("computes", "v", record["constants"]))
    first = _doing(("computes", "v", record["first"]), ("stores", "s", record["first_stores"]))
    lines += [f"  once: {once}"] if once else []
    lines += [f"  before the passes: {first}"] if first else []
    for number, stage in enumerate(record["stages"], 1):
        lines += _stage_lines(number, stage, record["strategy"])
    lines += [f"  {line}" for line in (record["items"], *_launches(record))]
    count = record["parameters"]
    extra = f"  {count} run-time parameter{'s' * (count != 1)}"
    if record["error_cells"]:
        extra += f", {record['error_cells']} error cells"
    if record["scratch"]:
        extra += f", {size_text(record['scratch'])} of scratch memory"
    return "\n".join([*lines, extra])


def _launches(record: Record) -> list[str]:
    return [f"launch {phase['symbol']}: {phase['says']}" for phase in record["phases"]]


def phase_record(phase: Phase, says: str) -> Record:
    """One launch; `says`: what its numbers mean to the backend."""
    return {"symbol": phase.symbol, "items": phase.items, "grain": phase.grain, "says": says}


def product_record(phase: Phase, dims: Sequence[int], says: str) -> Record:
    """What `codegen` decided for a matrix product."""
    return {"extents": dict(zip("mnk", dims[1:4])), "phases": [phase_record(phase, says)]}


def product_text(record: Record) -> str:
    sizes = ", ".join(f"{name} {extent}" for name, extent in record["extents"].items())
    return "\n".join([f"  sizes: {sizes}", *(f"  {line}" for line in _launches(record))])


def _stage_lines(number: int, stage: Record, strategy: str) -> list[str]:
    within = _doing(
        ("reads back", "v", stage["loads"]),
        ("computes", "v", [n for n in stage["values"] if n not in stage["loads"]]),
        ("keeps", "v", stage["saves"]),
        ("reduces to", "v", stage["reductions"]),
        ("stores", "s", stage["stores"]),
    )
    after = _doing(("computes", "v", stage["row_values"]), ("stores", "s", stage["row_stores"]))
    title = (
        "loop"
        if strategy in ("pointwise", "tiled", "epilogue")
        else f"pass {number} over the reduced axes"
    )
    lines = [f"  {title}: {within}"] if within else []
    return lines + ([f"  when it has ended: {after}"] if after else [])
