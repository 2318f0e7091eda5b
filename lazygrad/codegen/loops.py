"""Plans: which loops a kernel becomes, and what is computed in each of them.

Owns: the choice of a strategy (pointwise, rows, full, columns) from a kernel's structure, and the
placing of its values into loops. Must not know: the text of any template. A reduction's order of
additions depends on the reduced extents alone, never on threads, vectors or what is fused with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lazygrad.ir import ops
from lazygrad.ir.cost import BYTE, OP, RANDOM, op_cost
from lazygrad.ir.fusion import FULL
from lazygrad.ir.kernel import Access, Instr, Kernel
from lazygrad.ir.ops import Lowering

TILE = 4096  # elements of a pointwise row that are one work item
COLUMN_TILE = 4096  # most columns that are reduced together: their sums stay in the L1 cache
CHUNK = 65536  # elements whose partial results are one float64
BAND = 64  # transposing kernels are walked in tiles of so many places along the crossing axis
SHORT = 8  # elements: an axis of fewer is not walked by vectors, if there is another
REACH = 128  # and so many elements of the innermost axis: their copies stay in the caches
APART = 4  # places in memory that a reduction reads from at once, if it does little else
CHEAP = 3  # steps of a loop's body, reads included, up to which reading takes most of the time
TWICE = 8  # and up to which it is written a second time, without looking for a row's end
GRAIN = 32768  # elements of a scan or a sort worth giving to another thread
GRAIN_TIME = 16_000_000  # picoseconds of a kernel that are: waking a thread takes half as long


@dataclass
class Stage:
    """One pass over the reduced axes: values needed, reductions made, stores done in it."""

    values: list[int] = field(default_factory=list)
    reductions: list[int] = field(default_factory=list)
    stores: list[int] = field(default_factory=list)
    row_values: list[int] = field(default_factory=list)  # computed when the pass has ended
    row_stores: list[int] = field(default_factory=list)
    saves: list[int] = field(default_factory=list)  # values kept in a scratch row for later passes
    loads: list[int] = field(default_factory=list)  # values read back from there


@dataclass
class Loops:
    """A strategy, the values computed once, and the passes in order."""

    strategy: str
    constants: list[int]
    first: list[int]  # row values that need no reduction
    first_stores: list[int]
    stages: list[Stage]


def strategy_of(kernel: Kernel) -> str:
    """pointwise: nothing reduced (tiled: two ways through memory cross). full: everything is.

    rows: the last axis is reduced. columns: an earlier one.
    """
    if not any(kernel.reduced):
        scatters = any(store.index is not None for store in kernel.stores)
        return "pointwise" if scatters or crossing_axis(kernel) is None else "tiled"
    if all(kernel.reduced):
        return "full"
    return "rows" if kernel.reduced[-1] else "columns"


def crossing_axis(kernel: Kernel) -> int | None:
    """The axis along which a value that strides over the innermost axis lies in memory.

    Such a kernel (a transpose) is walked in square tiles, or every element costs a cache line.
    Along a short axis it does not: the line is there again at once.
    """
    for ins in kernel.instrs:
        if ins.op is ops.BUFFER and ins.access is not None and ins.access.box is None:
            strides = ins.access.strides
            if strides[-1] not in (0, 1) and 1 in strides[:-1]:
                axis = strides.index(1)
                if kernel.extents[axis] >= SHORT:
                    return axis
    return None


def long_innermost(kernel: Kernel) -> Kernel:
    """The same kernel with a longer axis innermost, where that is too short for vectors.

    Only where nothing is reduced, and no element is written twice: then the order does not matter.
    """
    extents = kernel.extents
    if any(kernel.reduced) or extents[-1] >= SHORT or writes_may_meet(kernel):
        return kernel
    longer = [axis for axis, extent in enumerate(extents) if extent >= SHORT]
    if not longer:
        return kernel
    axis = longer[-1]
    order = (*(a for a in range(len(extents)) if a != axis), axis)

    def turned(access: Access) -> Access:
        box = access.box and tuple(access.box[a] for a in order)
        return Access(tuple(access.strides[a] for a in order), access.offset, box)

    instrs = [
        ins if not ins.access or not ins.access.strides else replace(ins, access=turned(ins.access))
        for ins in kernel.instrs
    ]
    stores = [replace(store, access=turned(store.access)) for store in kernel.stores]
    return replace(kernel, extents=tuple(extents[a] for a in order), instrs=instrs, stores=stores)


def writes_may_meet(kernel: Kernel) -> bool:
    """Whether two elements may go to one place: then one thread writes them, in order."""
    return any(
        store.index is not None
        or (
            store.node is not None
            and store.node.op is ops.update
            and store.node.arg.overlaps_itself
        )
        for store in kernel.stores
    )


def crossing_loads(kernel: Kernel, axis: int) -> list[int]:
    """The values that lie along `axis` in memory: they are read through transposed copies."""
    found = []
    for number, ins in enumerate(kernel.instrs):
        if ins.op is ops.BUFFER and ins.access is not None and ins.access.box is None:
            strides = ins.access.strides
            if strides[axis] == 1 and strides[-1] not in (0, 1):
                found.append(number)
    return found


def is_cheap(kernel: Kernel, stage: Stage) -> bool:
    """Whether a pass does little but read, and keeps no order of places (as argmax does)."""
    ordered = any(kernel.instrs[n].op in (ops.argmax, ops.argmin) for n in stage.reductions)
    plain = (Lowering.LEAF, Lowering.POINTWISE)
    return (
        not ordered
        and bool(stage.reductions)
        and not stage.stores
        and len(stage.values) <= CHEAP
        and all(kernel.instrs[n].op.lowering in plain for n in stage.values)
    )


def walked_apart(kernel: Kernel, loops: Loops) -> bool:
    """Whether a reduction waits for memory alone, and so had better read from several places."""
    alone = len(loops.stages) == 1 and not loops.first and not loops.first_stores
    return alone and is_cheap(kernel, loops.stages[0])


def is_constant(kernel: Kernel, number: int) -> bool:
    ins = kernel.instrs[number]
    return ins.op in (ops.CONST, ops.SCALAR) and (ins.access is None or ins.access.box is None)


def is_costly(ins: Instr) -> bool:
    """Whether a value had better be kept for later passes, in a scratch row that the cache holds,
    than be computed again: the exponentials of a softmax, say."""
    return ins.op.ulp > 0


def place(kernel: Kernel, keep: Callable[[Instr], bool] | None = is_costly) -> Loops:
    """Give every value the earliest pass it can be computed in.

    `keep`: which values wait for later passes; all others are computed again in each.
    """
    strategy = strategy_of(kernel)
    constants = [i for i in range(len(kernel.instrs)) if is_constant(kernel, i)]
    if not any(kernel.reduced):
        values = [i for i in range(len(kernel.instrs)) if i not in constants]
        stage = Stage(values, [], list(range(len(kernel.stores))))
        return Loops(strategy, constants, [], [], [stage])
    stage_of = _stages(kernel)
    count = 1 + max(stage_of)
    last = [s for s in range(count)]
    stages = [Stage() for _ in last]
    first: list[int] = []
    for number, ins in enumerate(kernel.instrs):
        if ins.op.lowering is Lowering.REDUCE:
            stages[stage_of[number]].reductions.append(number)
        elif ins.level != FULL and number not in constants:
            target = first if stage_of[number] < 0 else stages[stage_of[number]].row_values
            target.append(number)
    first_stores: list[int] = []
    for number, store in enumerate(kernel.stores):
        at = max(stage_of[store.value], stage_of[store.index] if store.index is not None else -1)
        if store.level == FULL:
            stages[max(at, 0)].stores.append(number)
        elif at < 0:
            first_stores.append(number)
        else:
            stages[at].row_stores.append(number)
    for stage in stages:
        stage.values = _needed(kernel, stage, frozenset())
    if keep is not None and strategy == "rows" and sum(kernel.reduced) == 1:
        _keep(kernel, stages, keep)
    return Loops(strategy, constants, first, first_stores, stages)


def _stages(kernel: Kernel) -> list[int]:
    """Per value the pass that makes it: full values are made in a pass, row values at its end."""
    stage_of: list[int] = []
    for ins in kernel.instrs:
        stage = -1
        for arg in ins.args:
            late = kernel.instrs[arg].level != FULL and stage_of[arg] >= 0
            reading_full = ins.level == FULL or ins.op.lowering is Lowering.REDUCE
            stage = max(stage, stage_of[arg] + (1 if late and reading_full else 0))
        if ins.level == FULL or ins.op.lowering is Lowering.REDUCE:
            stage = max(stage, 0)
        stage_of.append(stage)
    return stage_of


def uniform_values(kernel: Kernel) -> list[bool]:
    """Per value whether it is the same all along the innermost axis."""
    last = len(kernel.extents) - 1
    row_varies = not kernel.reduced[last]
    uniform: list[bool] = []
    for ins in kernel.instrs:
        if ins.op.lowering is Lowering.REDUCE:
            uniform.append(not row_varies)
            continue
        varies = any(not uniform[a] for a in ins.args)
        if ins.access is not None:
            varies |= ins.access.strides[last] != 0 or cut(kernel, ins.access, last)
        uniform.append(not varies)
    return uniform


def cut(kernel: Kernel, access: Access, axis: int) -> bool:
    """Whether a part of the axis lies outside what the access may read."""
    return access.box is not None and access.box[axis] != (0, kernel.extents[axis])


def _keep(kernel: Kernel, stages: list[Stage], keep: Callable[[Instr], bool]) -> None:
    """Values that several passes need are computed in the first only, if they may be kept. What is
    the same all along a row is computed once for it in any pass.
    """
    kept: set[int] = set()
    uniform = uniform_values(kernel)
    for number, stage in enumerate(stages):
        stage.values = _needed(kernel, stage, frozenset(kept))
        stage.loads = [v for v in stage.values if v in kept]
        stage.values = [v for v in stage.values if v not in kept]
        for value in stage.values:
            kept_later = keep(kernel.instrs[value]) and not uniform[value]
            if kept_later and any(value in s.values for s in stages[number + 1 :]):
                stage.saves.append(value)
        kept.update(stage.saves)
    for number, stage in enumerate(stages):
        later = {value for s in stages[number + 1 :] for value in s.loads}
        stage.saves = [value for value in stage.saves if value in later]


def _needed(kernel: Kernel, stage: Stage, ready: frozenset[int]) -> list[int]:
    """Full-level values that a pass computes (again), in order; `ready` ones need no sources."""
    wanted: set[int] = set()
    stack = [arg for number in stage.reductions for arg in kernel.instrs[number].args]
    for number in stage.stores:
        store = kernel.stores[number]
        stack.append(store.value)
        if store.index is not None:
            stack.append(store.index)
    while stack:
        number = stack.pop()
        ins = kernel.instrs[number]
        if number in wanted or ins.level != FULL or ins.op.lowering is Lowering.REDUCE:
            continue
        wanted.add(number)
        if number not in ready:
            stack.extend(ins.args)
    return sorted(wanted)


def element_cost(kernel: Kernel) -> int:
    """Picoseconds of a kernel for each place of its index space, at least those of one op."""
    moved, computed = 0, 0
    for ins in kernel.instrs:
        if ins.level == FULL or ins.op.lowering is Lowering.REDUCE:
            computed += RANDOM if ins.op in ops.DRAWS else op_cost(ins.op)
            if ins.buffer is not None and ins.access is not None and any(ins.access.strides):
                moved += ins.dtype.itemsize
    for store in kernel.stores:
        if store.level == FULL:
            moved += kernel.instrs[store.value].dtype.itemsize
    return max(moved * BYTE + computed, OP)
