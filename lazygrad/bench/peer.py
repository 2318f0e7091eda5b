"""`Peer`: how a library is driven: inputs in, one call that has finished when it returns.

Owns: the interface, and what a peer says that it cannot do. Must not know: any library, the clock.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lazygrad.bench.workloads import Workload
from lazygrad.runtime.device import HOST

Call = Callable[[], Any]


class Unsupported(Exception):
    """The peer has no fair way to do this workload."""


class Peer:
    """One library. `prepare` gives a call whose result `fetch` turns into numpy arrays."""

    def __init__(self, threads: int, compiled: bool = False):
        self.threads = threads
        self.compiled = compiled
        self.device = os.environ.get("BENCH_DEVICE", HOST)

    def prepare(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        kind = {"value": self.value, "gradient": self.gradient, "step": self.step,
                "random": self.random}[w.kind]  # fmt: skip
        return kind(w, inputs)

    def value(self, w: Workload, inputs: Sequence[np.ndarray]) -> Call:
        raise Unsupported

    gradient = step = random = value

    def fetch(self, result: Any) -> list[np.ndarray]:
        found = result if isinstance(result, (tuple, list)) else [result]
        return [np.asarray(r) for r in found]

    def wait(self, result: Any) -> None:
        """Come back when a call's result is there; on the host it is when the call returns."""

    def version(self) -> str:
        raise NotImplementedError

    def counters(self) -> dict[str, int]:
        """What the library counts of its own work."""
        return {}


def flat(pair: tuple[Any, Any]) -> tuple[Any, ...]:
    return (pair[0], *pair[1])
