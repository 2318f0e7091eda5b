"""Counters: what was recorded, compiled, found and run, and where the time went.

Owns: the process-wide counts that tests assert on and the demo prints. Must not know: anything it
counts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any


class Stage:
    """A block whose time is added to a stage's: in few steps, as every program has three."""

    __slots__ = ("name", "seconds", "start")

    def __init__(self, seconds: dict[str, float], name: str):
        self.seconds = seconds
        self.name = name

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, *error: Any) -> None:
        seconds, name = self.seconds, self.name
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - self.start


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
    plan_hits: int = 0  # programs made from the plan of other sizes
    unsized: int = 0  # calls and passes that failed on Sizes: each size is recorded anew
    flushes: int = 0  # programs run because too much was pending
    interpreted: int = 0  # programs run by the numpy interpreter
    captures: int = 0  # runs of launches that a driver has recorded, or given new addresses
    graph_launches: int = 0  # and how often one of those was run as a whole
    bytes_moved: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def stage(self, name: str) -> Stage:
        """Add the time of the block to a stage."""
        return Stage(self.seconds, name)

    def add(self, name: str, start: float) -> None:
        """Add the time since `start` to a stage: as `stage`, in fewer steps."""
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def reset(self) -> None:
        self.__init__()  # type: ignore[misc]


stats = Stats()
