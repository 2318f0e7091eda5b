"""Targets: what a backend can do, as values that shared code asks for, and what it renders.

Owns: the description of a machine that code is generated for, and the form in which a backend
hands over a kernel's text. Must not know: how code is compiled or run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A CPU to generate C for. `features` name what the compiler may use (part of cache keys)."""

    vector_bytes: int  # width of the vectors: 64, 32 or 16
    threads: int = 1  # how many work items are wanted at least; results never depend on it
    features: tuple[str, ...] = ()
    cache_bytes: int = 32 << 20  # the last level: larger results are stored past it


@dataclass(frozen=True)
class Phase:
    """One function call over work items, `grain` of which are worth (or are) one thread group."""

    symbol: str
    items: int
    grain: int
    dims: tuple[int, ...] = ()  # parameters, where each call has its own (after a kernel's)


@dataclass(frozen=True)
class Rendered:
    """The functions of one kernel. `body` is what is compiled; `shown` has the user's lines, and
    is made by `annotated` when somebody asks.

    A kernel for the blocks of a product has no `phases` where its body is a part of the product's
    text. Pointers are the kernel's buffers, then a cell for every entry of `errors`, then `scratch`
    bytes of temporary memory if it is not 0.
    """

    name: str
    body: str
    annotated: Callable[[], str]
    phases: tuple[Phase, ...]
    dims: tuple[int, ...]
    errors: tuple[int, ...]
    scratch: int
    streams: tuple[tuple[int, int], ...] = ()  # (buffer, parameter): 1 stores past the caches
    at_once: int = 1  # instances that one call runs
    # a function of the same kernel that runs more of them: so many, if it can
    together: Callable[[int], Rendered] | None = None

    @property
    def shown(self) -> str:
        return self.annotated()
