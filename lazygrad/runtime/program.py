"""Programs: a schedule made ready to run with one call, and how it is run.

Owns: the flat form of a schedule (steps, pointers, parameters) that is kept in memory and on disk,
and its execution over leaves' buffers. Must not know: the graph it came from, beyond the op and
the user's line to name in an error.
"""

from __future__ import annotations

import json
import operator
import struct
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

import numpy as np

from lazygrad.ir.interp import apply, from_storage, to_storage
from lazygrad.ir.node import Node, Place
from lazygrad.ir.ops.checks import complaint, recorded_at
from lazygrad.ir.picking import picker
from lazygrad.runtime import library
from lazygrad.runtime.memory import Buffer, OutOfMemoryError, pool

SCALARS, ERRORS, ARENA, FIRST = 0, 1, 2, 3  # slots; leaves follow, then outputs
ERROR_BYTES = 16
_value_of = operator.attrgetter("value")
_held_at = operator.attrgetter("buffer.address")
_address_of = operator.attrgetter("address")
slot_in, offset_in = operator.itemgetter(0), operator.itemgetter(1)  # of a pointer


@dataclass
class Instance:
    """One set of pointers and parameters for a kernel function."""

    items: int
    pointers: list[tuple[int, int]]  # (slot, byte offset)
    dims: list[int]


@dataclass
class Launch:
    """One kernel function over instances that are independent of each other."""

    function: int  # position in `Program.functions`
    grain: int
    instances: list[Instance]
    name: str = ""
    lines: tuple[int, ...] = ()  # numbers of nodes whose lines it computes, in the graph's order
    counted: bool = True  # False for the later phases of a kernel
    moved: int = 0  # bytes read and written
    size: int = 0  # elements of its index spaces together
    at_once: int = 1  # instances that one call of the function runs
    calls: tuple[int, int] | None = None  # a function that it calls, which integer has its address


@dataclass
class HostCall:
    """An op that runs by its numpy meaning; `node` is its position among `Program.host_nodes`."""

    node: int
    sources: list[tuple[int, int]]
    target: tuple[int, int]


@dataclass
class Site:
    """A cell in which a kernel may report an error."""

    error: str  # the exception's type and words
    size: int
    number: int  # of the node it came from, in the order of the graph that is run


@dataclass
class Output:
    """Where an output's value is: a leaf's own buffer, or a slot to allocate."""

    leaf: int
    slot: int
    nbytes: int


@dataclass
class HostNode:
    """An op without a kernel, and what its sources looked like."""

    node: Node
    sources: tuple[Node, ...]


@dataclass
class Program:
    """Everything needed to run, apart from leaf values."""

    functions: list[tuple[str, int, int]]  # (unit path, size of its table, position in it)
    parts: list[list[Launch] | HostCall]
    scalars: list[tuple[int, str]]  # (leaf, "f" or "i")
    leaf_slots: list[int]  # leaves that are buffers, in slot order
    outputs: list[Output]
    arena: int
    sites: list[Site]
    kernels: int = 0  # launches counted as kernels
    host_nodes: list[HostNode] = field(default_factory=list)
    _loaded: Any = None
    _frames: list[Frame] = field(default_factory=list)  # those that are not in use

    def to_json(self) -> str:
        """The program as text; only for programs without host ops."""
        names = [
            f.name for f in fields(Program) if f.name not in ("host_nodes", "_loaded", "_frames")
        ]
        return json.dumps({name: getattr(self, name) for name in names}, default=vars)

    @classmethod
    def from_json(cls, text: str) -> Program:
        """Raises ValueError, KeyError or TypeError where the text is not a program's."""
        raw = json.loads(text)
        parts: list[list[Launch] | HostCall] = [
            [
                Launch(
                    **{
                        **launch,
                        "lines": tuple(launch["lines"]),
                        "instances": [
                            Instance(i["items"], [tuple(p) for p in i["pointers"]], i["dims"])
                            for i in launch["instances"]
                        ],
                    }
                )
                for launch in part
            ]
            for part in raw["parts"]
        ]
        return cls(
            [tuple(f) for f in raw["functions"]],
            parts,
            [tuple(s) for s in raw["scalars"]],
            raw["leaf_slots"],
            [Output(**o) for o in raw["outputs"]],
            raw["arena"],
            [Site(**s) for s in raw["sites"]],
            raw["kernels"],
        )

    # -- running ----------------------------------------------------------------------------------
    def run(
        self,
        leaves: Sequence[Node],
        observe: Any = None,
        order: Sequence[Node] = (),
        places: Sequence[Place] = (),
    ) -> list[Buffer]:
        """Buffers of the outputs. `observe(launch, nanoseconds)` sees each launch (and each
        HostCall) if given; `order` is the graph that is run, whose lines errors name. `places` are
        these lines where there is no graph: for a backend whose errors are known later.

        Raises IndexError or RuntimeError for errors that kernels report, OutOfMemoryError where one
        gets no memory to work in.
        """
        frames = self._frames
        try:
            frame = frames.pop()  # atomic: another thread may run the same program now
        except IndexError:
            frame = Frame(self)
        if frame.floats:
            frame.set_scalars(map(_value_of, frame.pick_scalars(leaves)))
        elif self.scalars:
            frame.set_scalars(
                [
                    leaves[leaf].value if kind == "f" else wrapped(leaves[leaf].value)
                    for leaf, kind in self.scalars
                ]
            )
        new = pool.buffers(frame.sizes)  # the outputs, and the arena if there is one
        arena = new.pop() if self.arena else None
        addresses = [0 if arena is None else arena.address]
        addresses += map(_held_at, frame.pick_leaves(leaves))
        addresses += map(_address_of, new)
        try:
            frame.run(addresses, order, observe)
        finally:
            frames.append(frame)
        if len(new) == len(self.outputs):
            return new
        made = iter(new)
        return [next(made) if o.leaf < 0 else leaves[o.leaf].buffer for o in self.outputs]

    def structures(self) -> list[Any]:
        """The C structures of each part: None for a call on the host."""
        if self._loaded is None:
            self._loaded = _load(self, library.ffi())
        found: list[Any] = self._loaded
        return found

    def replay(self, order: Sequence[Node]) -> Replay:
        """The program ready to run many times; `order` is a graph that it is of."""
        return Replay(self)

    def _host(self, call: HostCall, addresses: Sequence[int]) -> None:
        host = self.host_nodes[call.node]

        def view(at: tuple[int, int], like: Node) -> np.ndarray:
            size = like.numel * like.dtype.itemsize
            return Buffer(size, addresses[at[0]] + at[1]).array(like.dtype.np, like.shape)

        arrays = [
            from_storage(view(at, src), src.dtype) for at, src in zip(call.sources, host.sources)
        ]
        result = apply(host.node, arrays)
        view(call.target, host.node)[...] = to_storage(result, host.node.dtype)

    def places(self, order: Sequence[Node]) -> list[Place]:
        """For each site the line of the graph that is run; none where `order` is not known."""
        return [
            order[site.number].place if 0 <= site.number < len(order) else None
            for site in self.sites
        ]

    def first_error(self, errors: Any, places: Sequence[Place]) -> Exception | None:
        """The first error that a kernel has reported; `places`: the line of each site."""
        for number, (site, place) in enumerate(zip(self.sites, places)):
            if errors[2 * number]:
                value = int(errors[2 * number + 1])
                return complaint(site.error, value, site.size, recorded_at(place))
        return None


class Frame:
    """What a run of a program needs beside values: C structures, and memory for scalars, pointers
    and errors. One run at a time."""

    def __init__(self, program: Program):
        ffi = library.ffi()
        self.program = program
        self._cells = ffi.new("double[]", max(len(program.scalars), 1))
        self._cell_bytes = ffi.buffer(self._cells)
        self.floats = bool(program.scalars) and all(kind == "f" for _, kind in program.scalars)
        self.pick_scalars = picker([leaf for leaf, _ in program.scalars])
        self.pick_leaves = picker(program.leaf_slots)
        kinds = "".join("d" if kind == "f" else "q" for _, kind in program.scalars)
        self._pack = struct.Struct(f"={kinds}").pack_into
        self._errors = ffi.new("int64_t[]", 2 * len(program.sites)) if program.sites else None
        sizes = [o.nbytes for o in program.outputs if o.leaf < 0]
        count = FIRST + len(program.leaf_slots) + len(sizes)
        sizes += [program.arena] if program.arena else []
        self.sizes = [(nbytes, pool.rounded(nbytes)) for nbytes in sizes]
        self._slots = ffi.new("uintptr_t[]", count)
        self._slots[SCALARS] = int(ffi.cast("uintptr_t", self._cells))
        if self._errors is not None:
            self._slots[ERRORS] = int(ffi.cast("uintptr_t", self._errors))
        self._pointer = ffi.cast("char *const *", self._slots)
        pack = struct.Struct(f"={count - ARENA}Q").pack_into
        self.fill = partial(pack, ffi.buffer(self._slots), ARENA * ffi.sizeof("uintptr_t"))
        self._loaded = program.structures()
        self._parts = [
            part if isinstance(part, HostCall) else loaded.program
            for part, loaded in zip(program.parts, self._loaded)
        ]
        self._null = ffi.NULL
        self._run = library.runtime().lg_run

    def set_scalars(self, values: Iterable[Any]) -> None:
        """The scalars' values, until they are set again."""
        self._pack(self._cell_bytes, 0, *values)

    def run(
        self, addresses: Sequence[int], order: Sequence[Node] = (), observe: Any = None
    ) -> None:
        """Run on the memory of the arena, the leaves and the outputs that are not leaves' own.

        Raises as `Program.run`; the outputs' memory is undefined then.
        """
        self.fill(*addresses)
        if observe is not None:
            self._observed(observe)
            self._check(order)
        else:
            self.go(order)

    def go(self, order: Sequence[Any]) -> None:
        """Run on the memory that `fill` was given."""
        run, pointer, null = self._run, self._pointer, self._null
        for part in self._parts:
            if part.__class__ is HostCall:
                self.program._host(part, self._slots)
            elif run(part, pointer, null):
                raise self._starved()
        if self._errors is not None:
            self._check(order)

    def _check(self, order: Sequence[Any]) -> None:
        errors = self._errors
        if errors is not None and any(errors):
            try:
                error = self.program.first_error(errors, self.program.places(order))
                if error is not None:
                    raise error
            finally:
                self._forget()

    def _forget(self) -> None:
        errors = self._errors
        if errors is not None:
            for number in range(len(errors)):
                errors[number] = 0

    def _starved(self) -> OutOfMemoryError:
        """What to raise after a run that ended early; the next one may find what the pool kept."""
        self._forget()
        pool.trim()
        return OutOfMemoryError("can't allocate memory: a kernel got none to work in")

    def _observed(self, observe: Any) -> None:
        """The steps, each told to `observe` with the nanoseconds it took."""
        for part, loaded in zip(self.program.parts, self._parts):
            if isinstance(part, HostCall):
                start = time.perf_counter_ns()
                self.program._host(part, self._slots)
                observe(part, time.perf_counter_ns() - start)
                continue
            times = library.ffi().new("int64_t[]", len(part))
            if self._run(loaded, self._pointer, times):
                raise self._starved()
            for launch, nanoseconds in zip(part, times):
                observe(launch, nanoseconds)


class Replay:
    """A program with memory of its own for all that is not handed in.

    What any backend's replay does: `run` computes the outputs from buffers of the leaves in
    `leaves` order and the scalars in `scalars` order. One run at a time.
    """

    def __init__(self, program: Program):
        self.program = program
        self.leaves = program.leaf_slots
        self.scalars = [leaf for leaf, _ in program.scalars]
        self.places: Sequence[Any] = ()  # per node of the graph what has its line: for errors
        self._frame = Frame(program)
        self._arena = Buffer(program.arena) if program.arena else None
        at = 0 if self._arena is None else self._arena.address
        self._fill = partial(self._frame.fill, at)
        self.set_scalars = self._frame.set_scalars

    def run(self, addresses: Sequence[int]) -> None:
        """Run on the memory of the leaves and of the outputs that are not leaves' own.

        Raises as `Program.run`; the outputs' memory is undefined then.
        """
        self._fill(*addresses)
        self._frame.go(self.places)


def wrapped(value: int) -> int:
    """A Python integer as 64 bits, wrapping as PyTorch's C++ conversion does."""
    return (int(value) + 2**63) % 2**64 - 2**63


class _Loaded:
    """The C structures of one part, kept alive together."""

    __slots__ = ("keep", "program")

    def __init__(self, program: Any, keep: list[Any]):
        self.program = program
        self.keep = keep


_lock = threading.Lock()


def _load(program: Program, ffi: Any) -> list[_Loaded | None]:
    tables = {path: library.kernels(path, count) for path, count, _ in program.functions}
    functions = [tables[path][position] for path, _, position in program.functions]
    return [
        None if isinstance(part, HostCall) else _load_part(part, functions, ffi)
        for part in program.parts
    ]


def _load_part(part: list[Launch], functions: list[Any], ffi: Any) -> _Loaded:
    slot: list[int] = []
    offset: list[int] = []
    dims: list[int] = []
    instances: list[tuple[int, int, int, int]] = []
    steps: list[tuple[Any, int, int, int]] = []
    for launch in part:
        first = len(instances)
        for one in launch.instances:
            instances.append((one.items, len(one.pointers), len(slot), len(dims)))
            slot += map(slot_in, one.pointers)
            offset += map(offset_in, one.pointers)
            dims += one.dims
            if launch.calls is not None:
                called, at = launch.calls
                dims[at - len(one.dims)] = int(ffi.cast("intptr_t", functions[called]))
        count = len(instances) - first
        steps.append((functions[launch.function], first, count, launch.grain))
    keep = [
        ffi.new("lg_step[]", steps),
        ffi.new("lg_instance[]", instances),
        ffi.new("int32_t[]", slot),
        ffi.new("int64_t[]", offset),
        ffi.new("int64_t[]", dims),
    ]
    made = ffi.new("lg_program *")
    made.steps, made.inst, made.slot, made.offset, made.dims = keep
    made.nsteps = len(steps)
    return _Loaded(made, keep)
