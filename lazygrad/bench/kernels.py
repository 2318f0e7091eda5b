"""Each kernel of a call: its time, the bytes it moves, the operations it does.

Owns: the observer that takes these while a call runs, and how operations are counted. Must not
know: workloads, or how a peer is driven. A function such as exp counts as one operation, a
multiply-add as two.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from math import prod
from typing import Any

from lazygrad.debug import Look
from lazygrad.ir import ops
from lazygrad.ir.fusion import FULL
from lazygrad.ir.kernel import Kernel
from lazygrad.ir.ops import Lowering
from lazygrad.ir.schedule import KernelStep, MatmulStep, Step
from lazygrad.realize import observers

_COUNTED = (Lowering.POINTWISE, Lowering.REDUCE)


def operations(kernel: Kernel) -> int:
    """One for each element of each pointwise value, and of what is reduced."""
    everything = prod(kernel.extents)
    rows = prod(n for n, reduced in zip(kernel.extents, kernel.reduced) if not reduced)
    return sum(
        everything if ins.level == FULL or ins.op.lowering is Lowering.REDUCE else rows
        for ins in kernel.instrs
        if ins.op.lowering in _COUNTED
    )


def step_operations(step: Step) -> int:
    if isinstance(step, KernelStep):
        return sum(map(operations, step.kernels))
    if isinstance(step, MatmulStep):
        depth = prod(step.a.view.shape[-step.a.columns :])
        after = operations(step.epilogue) if step.epilogue is not None else 0
        return 2 * step.node.numel * depth + after
    if step.node.op.strided:
        q, k, v = (n.shape for n in step.node.srcs[:3])
        products = (1, 1) if step.node.op is ops.attention else (3, 2)  # over E, over V
        deep = products[0] * q[-1] + products[1] * v[-1]
        return 2 * prod(q[:-1]) * k[-2] * deep // (2 if step.node.arg[1] else 1)
    return 0


class Watch:
    """Observer: one row a kernel, later phases of a kernel added to its first."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def __call__(self, shape: Any, program: Any) -> Any:
        if program is None:
            return None
        steps = iter(Look(shape).schedule.steps)

        def observe(launch: Any, nanoseconds: int) -> None:
            if getattr(launch, "counted", True):
                step = next(steps, None)
                self.rows.append(
                    {
                        "name": getattr(launch, "name", "host").removeprefix("lg_"),
                        "bytes": getattr(launch, "moved", 0),
                        "flops": step_operations(step) if step is not None else 0,
                        "product": isinstance(step, MatmulStep),
                        "seconds": 0.0,
                    }
                )
            self.rows[-1]["seconds"] += nanoseconds * 1e-9

        return observe


def watched(call: Callable[[], Any], rounds: int = 5) -> list[dict[str, Any]]:
    """The kernels of one call, each with the least time of several rounds."""
    found: list[list[dict[str, Any]]] = []
    for _ in range(rounds):
        watch = Watch()
        observers.append(watch)
        try:
            call()
        finally:
            with suppress(ValueError):
                observers.remove(watch)
        found.append(watch.rows)
    rows = found[0]
    for others in found[1:]:
        for row, other in zip(rows, others):
            row["seconds"] = min(row["seconds"], other["seconds"])
    return rows
