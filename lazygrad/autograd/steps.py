"""The steps of a record, for those who walk the graph of gradients.

PyTorch has a record for each operation that a function such as `linear` is made of; here the
function has one. What it is made of is written as an outline: a number is an input, a tuple a name
with what it is computed from. Owns: outlines, and what `next_functions` shows of them. Must not
know: any function.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Sequence
from typing import Any

Part = int | tuple[Any, ...]  # an input, -1: none; or (name, part, ...)
_walked: Any = weakref.WeakKeyDictionary()  # named cache: a record's steps are the same each time


class Step:
    """A step inside a record. Hooks belong on the record, so there are none here."""

    def __init__(self, next_functions: tuple[tuple[Any, int], ...]):
        self.next_functions = next_functions
        self.metadata: dict[Any, Any] = {}

    def name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at 0x{id(self):x}>"

    def register_hook(self, hook: Any) -> Any:
        """Raises RuntimeError."""
        raise RuntimeError(
            f"{self.name()} is a step of one function, whose gradient is computed at once: a hook "
            "can be registered on the record that has it in its next_functions"
        )

    register_prehook = register_hook


@functools.cache
def _kind(name: str) -> type[Step]:
    return type(name, (Step,), {})


def walk(fn: Any, parts: Sequence[Part]) -> tuple[tuple[Any, int], ...]:
    """`next_functions` of a record of which these are the inputs."""
    if all(type(part) is int for part in parts):
        return tuple([_end(fn, part) for part in parts])
    found: tuple[tuple[Any, int], ...] | None = _walked.get(fn)
    if found is None:
        found = _walked[fn] = tuple([_end(fn, part) for part in parts])
    return found


def _end(fn: Any, part: Part) -> tuple[Any, int]:
    if isinstance(part, int):
        edge = fn.edges[part] if part >= 0 else None
        return (None, 0) if edge is None else edge
    ends = tuple([_end(fn, inner) for inner in part[1:]])
    return (None, 0) if all(end[0] is None for end in ends) else (_kind(part[0])(ends), 0)


def renumbered(parts: Sequence[Part], numbers: Sequence[Part]) -> tuple[Part, ...]:
    """An outline whose inputs have other numbers: numbers[i] for i, -1 where there is none."""

    def of(part: Part) -> Part:
        if isinstance(part, int):
            return numbers[part] if 0 <= part < len(numbers) else -1
        return (part[0], *map(of, part[1:]))

    return tuple(map(of, parts))
