"""Targets: what a backend can do, as values that shared code asks for.

Owns: the description of a machine that code is generated for. Must not know: how code is compiled
or run.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A CPU to generate C for. `features` name what the compiler may use (part of cache keys)."""

    vector_bytes: int  # width of the vectors: 64, 32 or 16
    threads: int = 1  # how many work items are wanted at least; results never depend on it
    features: tuple[str, ...] = ()
    cache_bytes: int = 32 << 20  # the last level: larger results are stored past it
