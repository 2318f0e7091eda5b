"""The pipeline: pending nodes in, computed buffers out.

Owns: when a program is found, built, run, cut into parts or interpreted. Every stage is one line
of `run_program`; what watches it registers in `observers`. Must not know: Tensors.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np

from lazygrad.config import config
from lazygrad.ir import ops
from lazygrad.ir.interp import evaluate, to_storage
from lazygrad.ir.node import Node, Place, computed, place_text, toposort, user_place
from lazygrad.ir.ops import Lowering
from lazygrad.ir.skeleton import skeleton
from lazygrad.ir.structure import Numbering, Structure, structure
from lazygrad.ir.thread import thread
from lazygrad.runtime import compiler, plans, store
from lazygrad.runtime import device as devices
from lazygrad.runtime.device import Device, device
from lazygrad.runtime.memory import Buffer, OutOfMemoryError
from lazygrad.runtime.stats import stats

Observer = Callable[[Structure, Any], Any]

_programs: dict[Any, tuple[Any, list[int]]] = {}  # named cache: device, structure -> program
_lock = threading.RLock()
# called with (structure, program) before a program runs, the program None where numpy runs it;
# what one returns is called with (launch, nanoseconds) for each launch
KEEP_DEPTH = 16  # a live tensor's value this many ops away from memory is kept when computed
_HEAVY = (Lowering.CONTRACT, Lowering.INDEXED, Lowering.EXTERN)

observers: list[Observer] = []
# what records a function to be replayed (lazygrad/trace), the innermost last: it is told when
# storages are made and written, and when Python wants to see a value
traces: list[Any] = []
FROM_NUMPY = "a numpy array, whose changes cannot be seen"


@dataclass
class Ran:
    """A program that has run: the nodes it took and gave, and for each of the latter which one of
    the program's outputs it is."""

    program: Any
    leaves: list[Node]
    outputs: list[Node]
    output_of: list[int]
    order: list[Node]
    key: Any  # of its structure


def value_read(what: str) -> None:
    """Python is about to see a value: to be said by whoever shows it."""
    thread.__dict__["looked"] = True
    if traces:
        traces[-1].value_read(what)


def realize_soon(outputs: Sequence[Node]) -> Ran | None:
    """Compute these nodes if nothing speaks against it: nobody looks at their values yet."""
    if traces and traces[-1].is_mine():
        return None
    return realize_nodes(outputs)


def watched() -> bool:
    """Whether somebody looks at what is computed, or it is not computed by programs."""
    return bool(
        traces
        or observers
        or config.validate
        or config.backend == "interp"
        or compiler.compiler() is None
    )


def one_place(nodes: Sequence[Node | None]) -> str | None:
    """The device that all of these are on. None where there are several."""
    if not devices.beyond_host:
        return devices.HOST
    found = {n.device for n in nodes if n is not None and (n.buffer is not None or n.srcs)}
    return found.pop() if len(found) == 1 else None


def run_known(
    program: Any, leaves: Sequence[Node], nodes: int, places: Sequence[Place] = ()
) -> list[Buffer]:
    """Run a program that was made for a graph of the same structure, of so many nodes.

    `leaves` are the values for its leaf slots and scalars alone; `places`: the line of each of its
    sites. Raises what its kernels report.
    """
    start = perf_counter()
    try:
        made: list[Buffer] = program.run(leaves, places=places)
    finally:
        stats.add("run", start)
    stats.realizes += 1
    stats.nodes += nodes
    stats.program_hits += 1
    stats.kernels += program.kernels
    return made


def read(node: Node) -> np.ndarray:
    """A computed node's memory as a numpy array (a copy where the memory is a device's)."""
    return node.buffer.array(node.dtype.np, node.shape)


def realize_nodes(outputs: Sequence[Node]) -> Ran | None:
    """Compute these nodes, and all values that a live autograd record will read, in one program.

    Graphs of more than `config.max_pending` nodes are cut into parts of equal structure, so that
    a long chain is planned once. Gives what has run, if it was one program.
    """
    pending = [n for n in dict.fromkeys(outputs) if n.buffer is None]
    if not pending:
        return None
    value_read("a value that is used in Python")
    with stats.stage("key"):
        nodes = Numbering()
        nodes.add(pending)
    if devices.beyond_host:
        pending, order = _one_device(pending, nodes.order)
        if not pending:
            return None
        if order is not nodes.order:
            nodes = Numbering()
            nodes.add(pending)
            _run_all(nodes, pending)
            return None  # and others before it
    return _run_all(nodes, pending)


def _run_all(nodes: Numbering, pending: Sequence[Node]) -> Ran | None:
    if len(nodes.order) <= config.max_pending:
        return _run(nodes.structure([*pending, *_kept(nodes.order, pending)]))
    for part in _cuts(nodes.order, pending):
        _run(structure(part))
    return None


def crosses(outputs: Sequence[Node]) -> bool:
    """Whether a value that these need goes from one device to another."""
    return any(n.op is ops.transfer and n.buffer is None for n in toposort(outputs))


def run_recorded(outputs: Sequence[Node]) -> list[Ran] | None:
    """Compute these nodes and nothing else, and say by which programs, in order.

    None where numpy would have to compute them: nothing has run then. No value may go from one
    device to another (`crosses`).
    """
    if config.backend == "interp":
        return None
    order = toposort(outputs)
    by_device: dict[str, list[Node]] = {}
    for node in outputs:
        by_device.setdefault(node.device, []).append(node)
    if not all(device(name).compiles() for name in by_device):
        return None
    if len(order) <= config.max_pending:
        alone = order if len(by_device) == 1 else None
        return [_run_program(structure(nodes, alone)) for nodes in by_device.values()]
    parts = (part for nodes in by_device.values() for part in _cuts(toposort(nodes), nodes))
    return [_run_program(structure(part)) for part in parts]


def _run_program(shape: Structure) -> Ran:
    stats.realizes += 1
    stats.nodes += len(shape.order)
    program, output_of = _program(shape)
    made = Ran(program, shape.leaves, shape.outputs, output_of, shape.order, shape.key)
    for node, buffer in zip(shape.outputs, run_program(shape)):
        computed(node, buffer)
    return made


def _cuts(order: list[Node], pending: Sequence[Node]) -> Iterator[list[Node]]:
    """What each part of a long order has to compute, found when the parts before have run."""
    for part in (*_parts(order, pending), pending):
        rest = [n for n in part if n.buffer is None]
        if rest:
            yield rest


def _one_device(pending: list[Node], order: list[Node]) -> tuple[list[Node], list[Node]]:
    """Make what crosses from device to device, and compute all but what the last device computes.

    Gives what is left: a graph on one device.
    """
    crossing = [n for n in order if n.op is ops.transfer and n.buffer is None]
    for node in crossing:
        if node.buffer is None:
            (source,) = node.srcs
            realize_nodes([source])
            computed(node, device(node.device).from_array(read(source)))
    by_device: dict[str, list[Node]] = {}
    for node in pending:
        if node.buffer is None:
            by_device.setdefault(node.device, []).append(node)
    *others, last = by_device.values() if by_device else ([],)
    for nodes in others:
        realize_nodes(nodes)
    return last, toposort(last) if crossing or others else order


def bases(node: Node) -> list[Node]:
    """The computed values behind a chain of movement."""
    stack, found = [node], []
    while stack:
        item = stack.pop()
        if item.buffer is not None or _is_free(item):
            continue
        if item.op.lowering is Lowering.MOVEMENT:
            stack.extend(item.srcs)
        else:
            found.append(item)
    return found


def _is_free(node: Node) -> bool:
    """Whether a value costs nothing to have again: leaves do, but for random numbers."""
    return node.op.lowering is Lowering.LEAF and node.op not in ops.DRAWS


def _is_held(node: Node) -> bool:
    """Whether a tensor that is still alive has this value, and it is to be computed."""
    holder = node.holder
    if holder is None or node.buffer is not None or _is_free(node):
        return False
    storage = holder()
    return storage is not None and storage.node is node


def _kept(order: list[Node], pending: Sequence[Node]) -> list[Node]:
    """Values that will be read again, and so are kept now that they are computed.

    Those are what a live autograd record reads, and what live tensors hold and would be dear to
    compute again. A cheap value of a live tensor is not kept: to compute it with its next reader
    costs less than to write it now.
    """
    held = {n for n in order if n.holder is not None and _is_held(n)}
    held.difference_update(pending)
    costly = dear(order) if held else held
    have = set(pending)
    kept: dict[Node, None] = {}
    for node in order:
        if node.saves or (node in held and node in costly):
            for base in bases(node):
                if base not in have:
                    kept.setdefault(base)
    return list(kept)


def dear(order: list[Node], most: Callable[[int, int], int] = max) -> set[Node]:
    """Pending values that are costly to compute, or small beside what they are computed from.
    `most` gives the larger of two numbers."""
    found: set[Node] = set()
    depth: dict[Node, int] = {}
    largest: dict[Node, int] = {}
    heavy: set[Node] = set()
    for node in order:
        if node.buffer is not None or not node.srcs:
            depth[node], largest[node] = 0, node.numel
            continue
        depth[node] = 1 + max(depth[s] for s in node.srcs)
        largest[node] = reduce(most, [largest[s] for s in node.srcs], node.numel)
        if node.op.lowering in _HEAVY or node.op in ops.DRAWS or any(s in heavy for s in node.srcs):
            heavy.add(node)
        if node in heavy or depth[node] >= KEEP_DEPTH or 4 * node.numel <= largest[node]:
            found.add(node)
    return found


def _parts(order: list[Node], pending: Sequence[Node]) -> list[list[Node]]:
    """Cuts of a long order: what each part must leave in memory for later ones."""
    last_use: dict[Node, int] = {}
    base: dict[Node, Node] = {}  # what is computed behind each node's chain of movement
    for number, node in enumerate(order):
        srcs = node.srcs if node.buffer is None else ()
        moves = node.op.lowering is Lowering.MOVEMENT
        base[node] = base[srcs[0]] if srcs and moves else node
        for src in srcs:
            last_use[base[src]] = number
    for node in pending:
        last_use[base[node]] = len(order)
    return [
        [
            n
            for n in order[start:stop]
            if is_computed(n) and (last_use.get(n, -1) >= stop or n.saves or _is_held(n))
        ]
        for start, stop in pairwise(_starts(order))
    ]


def is_computed(node: Node) -> bool:
    """Whether a value is pending, and neither is a leaf nor only moved."""
    return node.buffer is None and node.op.lowering not in (Lowering.LEAF, Lowering.MOVEMENT)


def _starts(order: list[Node]) -> list[int]:
    """Where the parts of a long order begin, and its end.

    A part ends where the line comes again at which it began: parts of a loop are whole rounds of
    it, so that they are alike and planned once.
    """
    size = config.max_pending // 2
    computed = [number for number, node in enumerate(order) if is_computed(node)]
    starts, at = [0], 0
    while at + size < len(computed):
        first, cut = order[computed[at]], at + size
        for back in range(size // 2):
            node = order[computed[at + size - back]]
            if node.op is first.op and node.place == first.place:
                cut = at + size - back
                break
        starts.append(computed[cut])
        at = cut
    return [*starts, len(order)]


def _run(shape: Structure) -> Ran | None:
    stats.realizes += 1
    stats.nodes += len(shape.order)
    where = device(shape.device)
    ran = None
    if where.on_host and _only_moves(shape):
        buffers = _interpret(shape)
    elif config.backend == "interp" or not where.compiles():
        stats.interpreted += 1
        _watched(shape, None)
        buffers = _interpret(shape)
    else:
        try:
            program, output_of = _program(shape)
            buffers = _run_on(shape, program, output_of)
        except compiler.BrokenCompiler:  # the next candidate, or the interpreter
            return _run(shape)
        ran = Ran(program, shape.leaves, shape.outputs, output_of, shape.order, shape.key)
    for node, buffer in zip(shape.outputs, buffers):
        computed(node, buffer)
    return ran


def _watched(shape: Structure, program: Any) -> Any:
    """Tell the observers, and give what wants to see each launch."""
    observe = None
    for observer in list(observers):
        observe = observer(shape, program) or observe
    return observe


def _only_moves(shape: Structure) -> bool:
    """Nothing to compute: filled or rearranged memory, which numpy does as well."""
    return all(
        n.buffer is not None
        or n.op.lowering is Lowering.MOVEMENT
        or (n.op.lowering is Lowering.LEAF and (n.op not in ops.DRAWS or n.numel <= 4096))
        for n in shape.order
    )


def _interpret(shape: Structure) -> list[Buffer]:
    with stats.stage("interpret"):
        try:
            values = evaluate(shape.order, read)
        except MemoryError as error:
            raise OutOfMemoryError(f"can't allocate memory: {error}") from None
        where = device(shape.device)
        return [
            n.buffer or where.from_array(np.ascontiguousarray(to_storage(values[n], n.dtype)))
            for n in shape.outputs
        ]


def run_program(shape: Structure) -> list[Buffer]:
    """Find or build the program of this structure, and run it on the leaves' values."""
    return _run_on(shape, *_program(shape))


def _run_on(shape: Structure, program: Any, output_of: list[int]) -> list[Buffer]:
    observe = _watched(shape, program) if observers else None
    with stats.stage("run"):
        made = program.run(shape.leaves, observe, shape.order)
    stats.kernels += program.kernels
    buffers = [made[position] for position in output_of]
    if config.validate:
        _validate(shape, buffers)
    return buffers


def _program(shape: Structure) -> tuple[Any, list[int]]:
    found = _programs.get((shape.device, shape.key))
    if found is None:
        return _build(shape)
    stats.program_hits += 1
    return found


def is_known(shape: Structure) -> bool:
    """Whether this process has a program of this structure."""
    return (shape.device, shape.key) in _programs


def _build(shape: Structure) -> tuple[Any, list[int]]:
    with _lock:
        found = _programs.get((shape.device, shape.key))
        if found is None:
            found = _programs[shape.device, shape.key] = _made(shape)
        return found


def _made(shape: Structure) -> tuple[Any, list[int]]:
    """A program that is none of those in memory: from disk, or planned."""
    where = device(shape.device)
    if where.any_sizes:
        return _sized(shape, where)
    with stats.stage("load"):
        found = store.find(shape)
    if found is not None:
        stats.disk_hits += 1
        return found
    made = _planned(shape, where)
    store.keep(shape, *made)
    return made


def _planned(shape: Structure, where: Device) -> tuple[Any, list[int]]:
    """A program for this structure alone."""
    with where.prepared():  # the C runtime, say, beside all this
        from lazygrad.runtime.build import build_program  # with it jinja2, networkx

        found: tuple[Any, list[int]] = _named(build_program, shape)
    stats.built += 1
    return found


def _sized(shape: Structure, where: Device) -> tuple[Any, list[int]]:
    """A program from a plan that may have been made for other sizes, or is made now."""
    with stats.stage("plan"):
        bones, sizes = skeleton(shape)
        key = (shape.device, where.target, bones)
        found = plans.find(key, sizes)
    if found is not None:
        stats.plan_hits += 1
        return found
    known = plans.known(key)
    with stats.stage("load"):
        while (plan := store.find_plan(shape.device, bones, len(known))) is not None:
            known.append(plan)
            found = plan.for_sizes(sizes)
            if found is not None:
                stats.disk_hits += 1
                return found
    with where.prepared():
        from lazygrad.runtime.build import build_plan

        plan = _named(lambda shape: build_plan(shape, sizes), shape)
    if plan is None:
        return _planned(shape, where)
    stats.built += 1
    store.keep_plan(shape.device, bones, len(known), plan)
    known.append(plan)
    found = plan.for_sizes(sizes)
    assert found is not None, "a plan does not hold for the sizes it was made with"
    return found


def _named(stage: Callable[[Structure], Any], shape: Structure) -> Any:
    """Run a stage; whatever it raises says which lines recorded the ops it was working on."""
    try:
        return stage(shape)
    except Exception as error:
        lines = dict.fromkeys(
            f"{place_text(n.place)} ({n.op.name})" for n in reversed(shape.order) if n.place
        )
        error.add_note("ops recorded at " + ", ".join(list(lines)[:6]))
        error.add_note(f"realized from {place_text(user_place())}")
        if isinstance(error, compiler.CompileError) and compiler.compiler() is not None:
            from lazygrad.runtime import repro

            path = repro.write(shape, f"{error}\n{error.log}", error.source)
            error.add_note(f"graph, C source and the compiler's words are in {path}")
        raise


def _validate(shape: Structure, buffers: list[Buffer]) -> None:
    """Compare a program's outputs with the interpreter's. Raises AssertionError."""
    values = evaluate(shape.order, read)
    for node, buffer in zip(shape.outputs, buffers):
        expected = to_storage(values[node], node.dtype)
        got = buffer.array(node.dtype.np, node.shape)
        if node.dtype.kind == "f" and not node.dtype.is_half:
            tolerance = 1e-5 if node.dtype.itemsize == 4 else 1e-12
            good = np.allclose(got, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
        elif node.dtype.is_half:
            good = True  # a rounding of intermediate sums may differ by one place
        else:
            good = np.array_equal(got, expected)
        if not good:
            from lazygrad.runtime import repro

            what = f"{node!r} differs from the interpreter:\n{got}\n{expected}"
            raise AssertionError(f"{what}\ngraph and C source are in {repro.write(shape, what)}")


__all__ = ["Buffer", "observers", "read", "realize_nodes", "run_program"]
