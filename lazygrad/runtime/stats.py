"""Counters: what was recorded, compiled, found and run, and where the time went.

Owns: the process-wide counts that tests assert on and the demo prints. Must not know: anything it
counts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Stats:
    """Counts since the process started or `reset`."""

    realizes: int = 0  # programs run
    nodes: int = 0  # ops in programs run
    kernels: int = 0  # kernel launches
    compiles: int = 0  # runs of the C compiler
    program_hits: int = 0  # programs found in memory
    disk_hits: int = 0  # programs found on disk
    kernel_hits: int = 0  # compiled kernels found when a program was built
    built: int = 0  # programs planned
    flushes: int = 0  # programs run because too much was pending
    interpreted: int = 0  # programs run by the numpy interpreter
    captures: int = 0  # runs of launches that a driver has recorded, or given new addresses
    graph_launches: int = 0  # and how often one of those was run as a whole
    bytes_moved: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def reset(self) -> None:
        self.__init__()  # type: ignore[misc]


stats = Stats()
