"""Plans: which threads of which blocks compute what of a kernel.

Owns: the choice of a strategy and its numbers (chunk, threads, splits) from a kernel's structure
and extents. Must not know: text. The order in which a reduction combines values depends on the
extents of the kernel alone, not on dtypes or on what is fused with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from lazygrad.codegen.cuda.online import Joined, one_pass
from lazygrad.codegen.loops import (
    Loops,
    Stage,
    crossing_axis,
    crossing_loads,
    cut,
    place,
    strategy_of,
)
from lazygrad.ir import ops
from lazygrad.ir.fusion import FULL
from lazygrad.ir.kernel import Instr, Kernel

THREADS = 256
WARP = 32
CHUNK = 4  # neighbouring elements of a reduced row that one thread takes in
SHORT_ROW = 1024  # rows up to this length are reduced by a warp
LONG_ROW = 8192  # rows beyond it get a block of
MANY_THREADS = 1024  # so many threads
IN_FLIGHT = 4  # chunks of a row that a thread loads before it uses them
HELD = 32  # elements of a row that a thread keeps in registers between passes
BLOCKS = 1024  # so many blocks keep any GPU busy: with fewer, reductions are split
PART = 4096  # least number of reduced elements that are worth a part of their own
COLUMN_PART = 64
COLUMN_PARTS = 128  # at most: every block of a later pass combines them all
COLUMN_THREADS = 512
TILES = 8  # such tiles fit into shared memory, whatever their dtype
TILE = 32  # places on a side of the tiles that transposing kernels are walked in
SCATTER_BLOCKS = 512
SORTED = 1024  # so many items that are scattered are sorted first
SORT_TILE = 1024  # of which a block sorts so many
LIMIT = 2**31 - 2**20  # positions beyond it need 64 bits


@dataclass(frozen=True)
class Plan:
    """`lanes` elements are a chunk; `unroll` chunks are loaded before any is used. `group`
    threads share a row. With `held` > 0 a thread's part of a row is so many chunks, which stay in
    registers between passes. With `splits` > 1 a reduction leaves so many partial results, and each
    pass is a launch. `joined` reductions are made in the pass before theirs."""

    strategy: str
    loops: Loops
    wide: bool
    lanes: int = 1
    unroll: int = 1
    threads: int = THREADS
    group: int = 1
    held: int = 0
    splits: int = 1
    joined: dict[int, Joined] = field(default_factory=dict)


def plan(kernel: Kernel) -> Plan:
    """The plan of a kernel."""
    loops = place(kernel, None)
    wide = needs_wide(kernel)
    strategy = strategy_of(kernel)
    if not any(kernel.reduced):
        return _plain(kernel, loops, wide, strategy)
    reduced, kept = sizes(kernel)
    total = prod(reduced)
    if strategy == "columns":
        return _columns(kernel, loops, wide, total, kept)
    rows, lanes = prod(kept), row_lanes(kernel)
    group = WARP if total <= SHORT_ROW else THREADS if total <= LONG_ROW else MANY_THREADS
    threads = max(group, THREADS)
    if len(loops.stages) > 1 and len(reduced) == 1:
        holding = place(kernel, may_be_held)
        held = 1 << (-(-total // (group * lanes)) - 1).bit_length() if total else 1
        if 0 < held * lanes * held_values(kernel, holding) <= HELD:
            return Plan("rows", holding, wide, lanes, threads=threads, group=group, held=held)
    loops, joined = _online(kernel, loops, total)
    if rows < BLOCKS // 2 and total > PART:
        splits = max(1, min(-(-BLOCKS // max(rows, 1)), total // PART))
        if splits > 1:
            return Plan("rows", loops, wide, lanes, group=THREADS, splits=splits, joined=joined)
    return Plan("rows", loops, wide, lanes, threads=threads, group=group, joined=joined)


def _columns(kernel: Kernel, loops: Loops, wide: bool, total: int, kept: list[int]) -> Plan:
    loops, joined = _online(kernel, loops, total)
    # how many parts depends on the extents alone, as the order of additions does
    blocks = prod(kept[:-1]) * -(-kept[-1] // (WARP * CHUNK))
    splits = 1
    if blocks < BLOCKS // 2:
        wanted = min(-(-BLOCKS // max(blocks, 1)), COLUMN_PARTS)
        splits = max(1, min(wanted, total // COLUMN_PART))
    alone = len(loops.stages) == 1 and not loops.first and not loops.first_stores
    lanes = chunk_of(kernel) if alone else 1
    while kept[-1] < WARP * lanes and lanes > 1:
        lanes //= 2
    threads = COLUMN_THREADS
    return Plan("columns", loops, wide, lanes, threads=threads, splits=splits, joined=joined)


def _online(kernel: Kernel, loops: Loops, total: int) -> tuple[Loops, dict[int, Joined]]:
    """Fewer passes over what neither registers nor the near caches hold."""
    return one_pass(kernel, loops) if total > LONG_ROW else (loops, {})


def row_lanes(kernel: Kernel) -> int:
    """Neighbouring elements of a reduced row that one thread takes in: 16 bytes of float32,
    whatever the dtype, as this gives the order of additions; but of half types twice as many, as
    sums of float32 are made in float64, where the order hardly shows."""
    extent = sizes(kernel)[0][-1]
    read = [i.dtype for i in kernel.instrs if i.op is ops.BUFFER and i.level == FULL]
    made = [kernel.instrs[n].dtype for n in kernel.reductions]
    halves = bool(read) and all(d.is_half for d in read) and all(d.itemsize <= 4 for d in made)
    lanes = 2 * CHUNK if halves and extent % (2 * CHUNK) == 0 else CHUNK
    return lanes if extent % lanes == 0 else 1


def may_be_held(ins: Instr) -> bool:
    """Whether a value may wait in registers: one that is read or computed, but not a position, nor
    a cast, whose source is no wider. Not of 8 bytes: around the calls that a division of float64
    takes, ptxas has too few registers."""
    return ins.op is not ops.cast and ins.op is not ops.IOTA and ins.dtype.itemsize < 8


def held_values(kernel: Kernel, loops: Loops) -> int:
    """How many values of each element wait between two passes, at most: a register each."""
    most, saved = 0, set()
    for number, stage in enumerate(loops.stages):
        saved.update(stage.saves)
        later = saved.intersection(v for s in loops.stages[number + 1 :] for v in s.loads)
        most = max(most, len(later))
    return most


def chunks_at_once(kernel: Kernel, made: Plan, stage: Stage) -> int:
    """How many chunks of a row a thread has under way in a loop over it. A thread has 64 registers:
    too few for more than one, if computing takes them."""
    ops_used = [kernel.instrs[value].op for value in stage.values]
    joined = [made.joined[n] for n in stage.reductions if n in made.joined]
    costly = any(op.ulp for op in ops_used) or any(one.powers for one in joined)
    if made.threads < MANY_THREADS and made.splits == 1:
        return IN_FLIGHT
    if not costly and not stage.stores:
        return IN_FLIGHT
    return 1 if made.threads == MANY_THREADS else 2


def sizes(kernel: Kernel) -> tuple[list[int], list[int]]:
    """Extents of the reduced axes, and of the others, outermost first."""
    pairs = list(zip(kernel.extents, kernel.reduced))
    return [n for n, r in pairs if r], [n for n, r in pairs if not r]


def parts(kernel: Kernel, splits: int) -> tuple[int, int]:
    """Length of the parts of a reduction that is split, a multiple of any chunk, and their number.

    Both depend on the reduced extents and the splits alone.
    """
    total = prod(sizes(kernel)[0])
    length = -(-total // splits)
    length += -length % (2 * CHUNK)
    return length, -(-total // length)


def _plain(kernel: Kernel, loops: Loops, wide: bool, strategy: str) -> Plan:
    if any(store.index is not None for store in kernel.stores):
        return Plan("sorted" if not wide and sorts(kernel) else "scatter", loops, wide)
    if overlaps(kernel):
        return Plan("serial", loops, wide, threads=1)
    crossing = crossing_axis(kernel)
    tiles = 0 if crossing is None or wide else len(crossing_loads(kernel, crossing))
    if strategy == "tiled" and 0 < tiles <= TILES:
        return Plan("tiled", loops, wide)
    lanes = chunk_of(kernel)
    loads = sum(i.op is ops.BUFFER for i in kernel.instrs)
    total = prod(kernel.extents)
    unroll = 4 if loads <= 1 else 2 if loads <= 3 else 1
    if total < THREADS * lanes * unroll * BLOCKS or lanes == 1:
        unroll = 1
    return Plan("pointwise", loops, wide, lanes, unroll)


def overlaps(kernel: Kernel) -> bool:
    """Whether one store may write an element twice: then one thread does all of it, in order."""
    return any(
        store.node is not None and store.node.op is ops.update and store.node.arg.overlaps_itself
        for store in kernel.stores
    )


def chunk_of(kernel: Kernel) -> int:
    """Neighbouring elements that one thread moves at once: 16 bytes of the widest dtype moved."""
    last = len(kernel.extents) - 1
    widths = [
        ins.dtype.itemsize
        for ins in kernel.instrs
        if ins.op is ops.BUFFER and ins.access is not None and ins.access.strides[last] == 1
    ]
    widths += [
        kernel.instrs[s.value].dtype.itemsize for s in kernel.stores if s.access.strides[last] == 1
    ]
    lanes = min(8, 16 // max(widths, default=16))
    if last > 0:
        while kernel.extents[last] % lanes:
            lanes //= 2
    return lanes


def needs_wide(kernel: Kernel) -> bool:
    """Whether a position, or an element's place in memory, may need more than 32 bits."""
    if prod(kernel.extents) >= LIMIT or any(n >= LIMIT for n in kernel.extents):
        return True
    accesses = [ins.access for ins in kernel.instrs if ins.access is not None]
    accesses += [store.access for store in kernel.stores]
    for access in accesses:
        reach = sum(abs(s) * max(n - 1, 0) for s, n in zip(access.strides, kernel.extents))
        if abs(access.offset) + reach >= LIMIT:
            return True
    indexed = [(i.stride, i.size) for i in kernel.instrs if i.op is ops.gather]
    indexed += [(s.stride, s.size) for s in kernel.stores if s.index is not None]
    buffers = max((node.numel for node in kernel.buffers), default=0)
    return buffers >= LIMIT or any(stride * size >= LIMIT for stride, size in indexed)


def scatter_axes(kernel: Kernel) -> list[int]:
    """Axes that different elements of one place lie along: walked in order by one thread."""
    found = set()
    for store in kernel.stores:
        if store.index is not None:
            found |= {
                axis
                for axis, (stride, n) in enumerate(zip(store.access.strides, kernel.extents))
                if stride == 0 and n != 1
            }
    return sorted(found)


def sorts(kernel: Kernel) -> bool:
    """Whether a scatter had better sort what it scatters by its place. Otherwise every thread walks
    along all of it. The place must be the same for all that is not walked along."""
    walked = scatter_axes(kernel)
    if len(kernel.stores) != 1 or prod(kernel.extents[a] for a in walked) < SORTED:
        return False
    only = kernel.stores[0]
    assert only.index is not None
    kept = [axis for axis in range(len(kernel.extents)) if axis not in walked]
    for number in needed(kernel, only.index):
        access = kernel.instrs[number].access
        if access is not None and any(access.strides[a] or cut(kernel, access, a) for a in kept):
            return False
    return True


def needed(kernel: Kernel, number: int) -> list[int]:
    """What a value is made of, and itself, in order."""
    found, stack = set(), [number]
    while stack:
        value = stack.pop()
        if value not in found:
            found.add(value)
            stack.extend(kernel.instrs[value].args)
    return sorted(found)


def merges(n: int) -> int:
    """How often runs are merged until all is one run."""
    return max(0, (-(-n // SORT_TILE) - 1).bit_length())


def divisor(extent: int) -> int:
    """What `v_quot` divides by `extent` with: the multiplier, and the shift 32 bits up.

    n / d = (n * m / 2^32 + n) >> s with 2^s >= d and m = 2^32 (2^s - d) / d + 1, for n < 2^31:
    Granlund and Montgomery, "Division by invariant integers using multiplication", PLDI 1994.
    """
    extent = max(extent, 1)
    shift = (extent - 1).bit_length()
    return (((1 << 32) * ((1 << shift) - extent)) // extent + 1) | shift << 32


__all__ = ["FULL", "Plan", "plan"]
