"""Reductions that need no pass of their own: a softmax's sum, a norm's sum of squares.

Owns: finding sums that are made in the pass before theirs, from what that pass reads anyway, and
merging the two. Must not know: threads, or text.

With m any value of the row: a sum of exp(x - m) is kept for the largest x so far instead, and
scaled whenever that grows (Milakov and Gimelshein, "Online normalizer calculation for softmax",
arXiv:1805.02867). A sum of (x - m)^2 is that of x^2 less m (2 sum(x) - n m), in float64.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lazygrad.codegen.loops import Loops, Stage
from lazygrad.ir import ops
from lazygrad.ir.dtypes import float32
from lazygrad.ir.fusion import FULL
from lazygrad.ir.kernel import Kernel


@dataclass(frozen=True)
class Joined:
    """A sum of powers of e, or else of squares, of the values `source` less `mean`. It is made
    beside the reduction `first` of the same values, on which `mean` depends."""

    powers: bool
    first: int
    source: int
    mean: int


def joined(kernel: Kernel, number: int) -> Joined | None:
    """How a reduction can be made beside an earlier one, if it can."""
    instrs, ins = kernel.instrs, kernel.instrs[number]
    if ins.op is not ops.sum_ or ins.level == FULL:
        return None
    term = instrs[ins.args[0]]
    powers = term.op is ops.exp
    square = term.op is ops.mul and term.args[0] == term.args[1] and term.dtype is float32
    if not powers and not square:
        return None
    less = instrs[term.args[0]]
    if less.op is not ops.sub or less.level != FULL or less.dtype.is_half:
        return None
    source, mean = less.args
    if instrs[mean].level == FULL:
        return None
    kind = ops.max_ if powers else ops.sum_
    for first, other in enumerate(instrs[:number]):
        if other.op is kind and other.args == (source,) and other.dtype is ins.dtype:
            return Joined(powers, first, source, mean)
    return None


def one_pass(kernel: Kernel, loops: Loops) -> tuple[Loops, dict[int, Joined]]:
    """The loops with passes merged, and the reductions that are made beside others."""
    found: dict[int, Joined] = {}
    stages: list[Stage] = []
    for stage in loops.stages:
        last = stages[-1] if stages else None
        beside = {n: joined(kernel, n) for n in stage.reductions}
        if last is not None and beside and not stage.stores:
            pairs = {n: j for n, j in beside.items() if j is not None and _fits(j, last)}
            if len(pairs) == len(beside):
                found |= pairs
                stages[-1] = replace(
                    last,
                    reductions=[*last.reductions, *stage.reductions],
                    row_values=[*last.row_values, *stage.row_values],
                    row_stores=[*last.row_stores, *stage.row_stores],
                )
                continue
        stages.append(stage)
    return replace(loops, stages=stages), found


def _fits(one: Joined, stage: Stage) -> bool:
    return one.first in stage.reductions and one.source in stage.values


__all__ = ["Joined", "one_pass"]
