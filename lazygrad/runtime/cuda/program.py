"""Programs on a GPU: a schedule's launches, put into the device's stream.

Owns: filling slots with device addresses, launching, and reading back what kernels report. Must not
know: planning.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lazygrad.ir.interp import apply, from_storage, to_storage
from lazygrad.ir.node import Node, Place
from lazygrad.runtime.cuda.driver import Issued
from lazygrad.runtime.cuda.memory import GpuBuffer
from lazygrad.runtime.program import ERROR_BYTES, HostCall, Instance, Launch, Program, wrapped

if TYPE_CHECKING:
    from lazygrad.runtime.cuda.device import Backend

LIBRARY = ""  # the unit of functions that are not ours
# called with addresses, dimensions and the stream to put the work into
Library = Callable[[np.ndarray, np.ndarray, Any], None]
BLOCKING = os.environ.get("CUDA_LAUNCH_BLOCKING", "") not in ("", "0")


@dataclass(slots=True)
class _Call:
    """One launch of one kernel, but for its addresses, which go into the places `at` of `words`."""

    function: Any
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    slots: np.ndarray
    offsets: np.ndarray
    words: np.ndarray
    at: np.ndarray
    is_library: bool


class GpuProgram(Program):
    """A program whose launches are CUDA kernels. `Instance.items` are blocks, `Launch.grain` is
    the number of threads of one."""

    def run(
        self,
        leaves: Sequence[Node],
        observe: Any = None,
        order: Sequence[Node] = (),
        places: Sequence[Place] = (),
    ) -> list[Any]:
        """Buffers of the outputs; their values are there when the stream has come so far.

        What kernels report is raised by who reads the values or waits for them (`reports`), and
        here where a value that is read is known to be spoilt.
        """
        backend = self.backend(leaves, order)
        with backend.gpu.active(), backend.gpu.failures():
            return self._run(backend, leaves, observe, order, places)

    def backend(self, leaves: Sequence[Node], order: Sequence[Node]) -> Backend:
        from lazygrad.runtime.device import device

        place = order[-1] if order else next(n for n in leaves if n.buffer is not None)
        found: Any = device(place.device)
        return found

    def _run(
        self,
        backend: Backend,
        leaves: Sequence[Node],
        observe: Any,
        order: Sequence[Node],
        places: Sequence[Place],
    ) -> list[Any]:
        launches = self.loaded(backend)
        reports, read = backend.pool.reports, [leaves[at].buffer.address for at in self.leaf_slots]
        inherited = reports.before(read)
        cells = self._cells(backend, leaves)
        errors = None
        if self.sites:
            errors = backend.allocate(ERROR_BYTES * len(self.sites))
            errors.clear()
        arena = backend.allocate(self.arena) if self.arena else None
        made = [
            backend.allocate(o.nbytes) if o.leaf < 0 else leaves[o.leaf].buffer
            for o in self.outputs
        ]
        addresses = [0 if b is None else b.address for b in (cells, errors, arena)]
        addresses += read
        addresses += [b.address for b, o in zip(made, self.outputs) if o.leaf < 0]
        table = np.array(addresses, np.uint64)
        for part, loaded in zip(self.parts, launches):
            if isinstance(part, HostCall):
                start = time.perf_counter_ns()
                self.on_host(backend, part, addresses)
                if observe:
                    observe(part, time.perf_counter_ns() - start)
                continue
            for launch, calls in zip(part, loaded):
                _watched_issue(backend, launch, calls, table, observe, order)
        judge = partial(self.first_error, places=places or self.places(order))
        reports.after(inherited, [b.address for b in made], errors, judge)
        if BLOCKING:
            backend.synchronize()
        return made

    def _cells(self, backend: Backend, leaves: Sequence[Node]) -> GpuBuffer | None:
        """Run-time scalars, 8 bytes each."""
        if not self.scalars:
            return None
        values = b"".join(
            struct.pack("d", leaves[leaf].value)
            if kind == "f"
            else struct.pack("q", wrapped(leaves[leaf].value))
            for leaf, kind in self.scalars
        )
        cells = backend.allocate(len(values))
        cells.load(np.frombuffer(values, np.uint8))
        return cells

    def replay(self, order: Sequence[Node]) -> Any:
        """The program ready to run many times on the device of this graph."""
        from lazygrad.runtime.cuda.replay import GpuReplay

        return GpuReplay(self, self.backend((), order), order)

    def loaded(self, backend: Backend) -> list[Any]:
        """For each part the calls of its launches, or None for one that the host runs."""
        if self._loaded is None:
            self._loaded = self._load(backend)
        found: list[Any] = self._loaded
        return found

    def _load(self, backend: Backend) -> list[Any]:
        functions = [
            None if path == LIBRARY else backend.function(path, position)
            for path, _, position in self.functions
        ]

        def calls(launch: Launch) -> list[_Call]:
            function = functions[launch.function] or library(launch)
            if launch.at_once > 1:
                return _joint_calls(launch, function, launch.at_once)
            return _calls(launch, function)

        def library(launch: Launch) -> Any:
            return backend.library_function(launch.name)

        return [
            None if isinstance(part, HostCall) else [calls(launch) for launch in part]
            for part in self.parts
        ]

    def on_host(self, backend: Backend, call: HostCall, addresses: Sequence[int]) -> None:
        """Run an op without a kernel; `addresses` are those of the slots."""
        host = self.host_nodes[call.node]

        def buffer(at: tuple[int, int], like: Node) -> GpuBuffer:
            size = like.numel * like.dtype.itemsize
            return GpuBuffer(backend.pool, size, addresses[at[0]] + at[1])

        arrays = [
            from_storage(buffer(at, src).fetched(src.dtype.np, src.shape), src.dtype)
            for at, src in zip(call.sources, host.sources)
        ]
        result = to_storage(apply(host.node, arrays), host.node.dtype)
        buffer(call.target, host.node).load(result)


def _calls(launch: Launch, function: Any) -> list[_Call]:
    return [_call(launch, function, [one], [], 1) for one in launch.instances if one.items]


def _joint_calls(launch: Launch, function: Any, count: int) -> list[_Call]:
    """Up to `count` instances in each launch of a function that takes so many: what it is given
    is the number of each one's first block, then all of their arguments."""
    some = [one for one in launch.instances if one.items]
    calls = []
    for start in range(0, len(some), count):
        ones = some[start : start + count]
        first = np.full(count, np.iinfo(np.int32).max, np.int32)
        first[: len(ones)] = np.cumsum([0, *(one.items for one in ones[:-1])])
        calls.append(_call(launch, function, ones, first.view(np.int64).tolist(), count))
    return calls


def _call(
    launch: Launch, function: Any, ones: Sequence[Instance], head: list[int], room: int
) -> _Call:
    """A call for these instances, with room for so many."""
    slots: list[int] = []
    offsets: list[int] = []
    at: list[int] = []
    words = list(head)
    for one in ones:
        at += range(len(words), len(words) + len(one.pointers))
        slots += [slot for slot, _ in one.pointers]
        offsets += [offset for _, offset in one.pointers]
        words += [*(0 for _ in one.pointers), *one.dims]
    words += [0] * ((len(words) - len(head)) // len(ones) * (room - len(ones)))
    return _Call(
        function,
        (sum(one.items for one in ones), 1, 1),
        (launch.grain, 1, 1),
        np.array(slots, np.int64),
        np.array(offsets, np.uint64),
        np.array(words, np.int64).view(np.uint64),
        np.array(at, np.int64),
        not hasattr(function, "_launch_kernel"),
    )


def issued(launch: Launch, order: Sequence[Any]) -> Issued:
    """What an error that may come from this launch has to know: `order` has the lines of the
    graph that runs, which may be others than those of the graph the program was made for."""
    return launch.name, tuple(order[at].place for at in launch.lines if at < len(order))


def issue(launch: Launch, calls: Sequence[_Call], table: np.ndarray, stream: Any) -> None:
    """Put a launch into a stream; `table` holds the addresses of the slots."""
    for call in calls:
        pointers = table[call.slots] + call.offsets
        if call.is_library:
            call.function(pointers, call.words[len(pointers) :].view(np.int64), stream)
        else:
            words = call.words.copy()
            words[call.at] = pointers
            call.function._launch_kernel(call.grid, call.block, words.tobytes(), 0, stream)


def _watched_issue(
    backend: Backend,
    launch: Launch,
    calls: list[_Call],
    table: np.ndarray,
    observe: Any,
    order: Sequence[Node],
) -> None:
    start = backend.event() if observe else None
    issue(launch, calls, table, backend.gpu.stream)
    backend.gpu.recent.append(issued(launch, order))
    if BLOCKING:
        backend.synchronize()
    if start is not None:
        stop = backend.event()
        backend.synchronize()
        observe(launch, int(1e6 * start.time_till(stop)))
