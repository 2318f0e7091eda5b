"""Text form of plans for a GPU: which threads take what.

Owns: the words for a plan's numbers. Must not know: how a plan becomes text of CUDA C.
"""

from __future__ import annotations

from lazygrad.codegen.cuda import plan as plans
from lazygrad.codegen.cuda.epilogue import epilogue_plan
from lazygrad.codegen.cuda.plan import Plan, plan
from lazygrad.codegen.printer import Record, loops_record
from lazygrad.codegen.target import Rendered
from lazygrad.ir.kernel import Kernel

_BLOCK = {  # one for each strategy; a test compares the two
    "pointwise": "neighbouring elements",
    "serial": "all elements, in order, by one thread",
    "tiled": f"a tile of {plans.TILE} x {plans.TILE} elements, transposed in shared memory",
    "scatter": "places of the result, each written by one thread, in order",
    "sorted": "elements of the result, each written by one thread, in order",
    "epilogue": "a tile of the product",
    "rows": "{rows}",
    "columns": "{columns} columns",
}


def plan_record(kernel: Kernel, made: Rendered) -> Record:
    """What `codegen.cuda` decided for one kernel."""
    chosen = plan(kernel) if kernel.product is None else epilogue_plan(kernel)
    return loops_record(kernel, made, chosen.loops, chosen.strategy) | {
        "lanes": chosen.lanes,
        "unroll": chosen.unroll,
        "threads": chosen.threads,
        "group": chosen.group,
        "held": chosen.held,
        "splits": chosen.splits,
        "joined": sorted(chosen.joined),
        "how": [_threads(chosen), *_splits(kernel, chosen), *_joined(chosen)],
        "items": "a block takes "
        + _BLOCK[chosen.strategy].format(rows=_rows(chosen), columns=plans.WARP * chosen.lanes),
    }


def _threads(chosen: Plan) -> str:
    """threads: 256 a block, 32 a row, each takes 4 elements at once; positions of 32 bits"""
    said = [f"{chosen.threads} a block"]
    if chosen.group > 1:
        said.append(f"{chosen.group} a row")
    if chosen.lanes > 1:
        said.append(f"each takes {chosen.lanes} elements at once")
    if chosen.unroll > 1:
        said.append(f"with {chosen.unroll} such loads in flight")
    if chosen.held:
        said.append(f"and keeps its {chosen.held * chosen.lanes} elements of a row in registers")
    return f"threads: {', '.join(said)}; positions of {64 if chosen.wide else 32} bits"


def _rows(chosen: Plan) -> str:
    rows = chosen.threads // chosen.group
    return f"{rows} rows" if rows > 1 else "a row"


def _splits(kernel: Kernel, chosen: Plan) -> list[str]:
    if chosen.splits == 1:
        return []
    length, count = plans.parts(kernel, chosen.splits)
    passes = len(chosen.loops.stages)
    combined = "which a second launch combines"
    if passes > 1:
        combined = f"{passes} passes, each a launch, which combines what the ones before it left"
    return [f"split: {count} parts of {length} reduced elements, {combined}"]


def _joined(chosen: Plan) -> list[str]:
    names = " ".join(f"v{number}" for number in sorted(chosen.joined))
    return [f"merged passes: {names} is made before its terms are known"] if names else []
