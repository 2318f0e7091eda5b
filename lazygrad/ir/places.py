"""Where temporaries lie: in one arena, or in the memory of an output that is written later.

Owns: the placing of pieces of memory by their sizes and life spans. Must not know: schedules; what
is placed may be named by anything. It is done for every size that a plan is used for, so it is
imported where nothing is planned.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Generic, TypeVar

ALIGNMENT = 64
LENT = 1 << 14  # bytes from which on an output's memory serves temporaries before its own time

K = TypeVar("K")


@dataclass
class _Region(Generic[K]):
    """Memory that temporaries lie in: the arena, or that of an output until it is written."""

    home: K | None
    size: float
    until: float  # the first step that writes the output
    placed: list[tuple[int, int, int, int]] = field(default_factory=list)  # start, end, steps

    def place(self, size: int, first: int, last: int) -> int | None:
        """First fit beside what is live from step `first` to step `last`."""
        if last >= self.until:
            return None
        start = 0
        for low, high, begin, end in self.placed:
            if begin <= last and first <= end and low < start + size and start < high:
                start = high
        if start + size > self.size:
            return None
        insort(self.placed, (start, start + size, first, last))
        return start


def place_all(
    span: dict[K, tuple[int, int]], outputs: Container[K], size: dict[K, int]
) -> tuple[dict[K, int], dict[K, K], int]:
    """Places of temporaries, from the first write to the last read: the largest first, in the
    memory of an output that is written later or else in one arena. Gives the offset of each, the
    outputs that some are in, and the size of the arena."""
    offsets: dict[K, int] = {}
    homes: dict[K, K] = {}
    arena = 0
    lent = [n for n in span if n in outputs and size[n] >= LENT]
    lent.sort(key=lambda n: (size[n], span[n]))
    regions: list[_Region[K]] = [_Region(n, size[n], span[n][0]) for n in lent]
    regions.append(_Region(None, float("inf"), float("inf")))
    temporaries = [(n, ends) for n, ends in span.items() if n not in outputs]
    for node, (first, last) in sorted(temporaries, key=lambda item: -size[item[0]]):
        room = -(-max(size[node], 1) // ALIGNMENT) * ALIGNMENT
        for region in regions if room >= LENT else regions[-1:]:
            start = region.place(room, first, last)
            if start is not None:
                break
        offsets[node] = start or 0
        if region.home is not None:
            homes[node] = region.home
        else:
            arena = max(arena, (start or 0) + room)
    return offsets, homes, arena
