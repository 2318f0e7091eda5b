"""Programs that run many times, as `lg.jit` asks for: their launches are CUDA graphs.

Owns: the memory that a replay keeps, and which graph serves which addresses. Must not know: how a
launch is made, which `program` does, or what is replayed.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lazygrad.runtime.cuda import program as programs
from lazygrad.runtime.cuda.graphs import Graph
from lazygrad.runtime.program import ERROR_BYTES, FIRST, HostCall, Launch, wrapped

if TYPE_CHECKING:
    from lazygrad.runtime.cuda.device import Backend
    from lazygrad.runtime.cuda.program import GpuProgram

GRAPHS = 4  # sets of addresses with graphs of their own: a step's results alternate between two


class GpuReplay:
    """A program with memory of its own for all that is not handed in (see `program.Replay`).

    Launches between two ops that the host runs are one graph. A graph holds addresses: it is
    captured when a set of addresses is new, and launched when it comes again. Beyond `GRAPHS` sets
    the one that was not used for longest is given the new addresses.
    """

    def __init__(self, program: GpuProgram, backend: Backend, order: Sequence[Any]):
        self.program, self.backend = program, backend
        self.leaves = program.leaf_slots
        self.scalars = [leaf for leaf, _ in program.scalars]
        self.places: Sequence[Any] = ()  # per node of the graph what has its line: for errors
        at = {leaf: number for number, leaf in enumerate(self.leaves)}
        self._in_place = [at[output.leaf] for output in program.outputs if output.leaf >= 0]
        self._kinds = [kind for _, kind in program.scalars]
        self._pack = struct.Struct(f"={''.join('d' if k == 'f' else 'q' for k in self._kinds)}")
        with backend.gpu.active(), backend.gpu.failures():
            self._loaded = program.loaded(backend)
        self._cells = backend.allocate(8 * len(self.scalars)) if self.scalars else None
        self._errors = backend.allocate(ERROR_BYTES * len(program.sites)) if program.sites else None
        self._arena = backend.allocate(program.arena) if program.arena else None
        own = (self._cells, self._errors, self._arena)
        self._own = [0 if buffer is None else buffer.address for buffer in own]
        assert len(own) == FIRST
        self._names = [
            programs.issued(launch, order)
            for part in program.parts
            if not isinstance(part, HostCall)
            for launch in part
        ]
        self._graphs: dict[tuple[int, ...], list[Graph | None]] = {}

    def set_scalars(self, values: Sequence[Any]) -> None:
        """The scalars' values, until they are set again: runs so far keep those they had."""
        if self._cells is not None:
            fitting = [v if k == "f" else wrapped(v) for v, k in zip(values, self._kinds)]
            self._cells.load(np.frombuffer(self._pack.pack(*fitting), np.uint8))

    def run(self, addresses: Sequence[int]) -> None:
        """Run on the memory of the leaves and of the outputs that are not leaves' own. Errors are
        as those of `GpuProgram.run`."""
        backend, reports = self.backend, self.backend.pool.reports
        count = len(self.leaves)
        with backend.gpu.active(), backend.gpu.failures():
            inherited = reports.before(addresses[:count])
            if self._errors is not None:
                self._errors.clear()
            if programs.BLOCKING:  # an error is to name its kernel: every launch by itself
                self._issue(addresses)
            else:
                self._launch(tuple(addresses))
            written = [*addresses[count:], *(addresses[at] for at in self._in_place)]
            reports.after(inherited, written, self._errors, self._first_error)
        if programs.BLOCKING:
            backend.synchronize()

    def _first_error(self, cells: np.ndarray) -> Exception | None:
        return self.program.first_error(cells, self.program.places(self.places))

    def _launch(self, addresses: tuple[int, ...]) -> None:
        graphs = self._graphs.pop(addresses, None) or self._captured(addresses)
        self._graphs[addresses] = graphs  # the newest last
        self.backend.gpu.recent.extend(self._names)
        for part, graph in zip(self.program.parts, graphs):
            if graph is not None:
                graph.launch()
            elif isinstance(part, HostCall):
                self.program.on_host(self.backend, part, self._own + list(addresses))

    def _captured(self, addresses: Sequence[int]) -> list[Graph | None]:
        backend = self.backend
        if len(self._graphs) >= GRAPHS:
            graphs = self._graphs.pop(next(iter(self._graphs)))
        else:
            graphs = [
                None if loaded is None or not any(loaded) else Graph(backend.gpu)
                for loaded in self._loaded
            ]
        table = self._table(addresses)
        for graph, part, loaded in zip(graphs, self.program.parts, self._loaded):
            if graph is not None:
                assert not isinstance(part, HostCall)
                with graph.captured() as stream:
                    for launch, calls in zip(part, loaded):
                        programs.issue(launch, calls, table, stream)
        return graphs

    def _issue(self, addresses: Sequence[int]) -> None:
        table, names = self._table(addresses), iter(self._names)
        for part, loaded in zip(self.program.parts, self._loaded):
            if isinstance(part, HostCall):
                self.program.on_host(self.backend, part, self._own + list(addresses))
                continue
            for launch, calls in zip(part, loaded):
                self._one(launch, calls, table, next(names))

    def _one(self, launch: Launch, calls: Any, table: np.ndarray, name: programs.Issued) -> None:
        programs.issue(launch, calls, table, self.backend.gpu.stream)
        self.backend.gpu.recent.append(name)
        self.backend.synchronize()

    def _table(self, addresses: Sequence[int]) -> np.ndarray:
        return np.array([*self._own, *addresses], np.uint64)
