"""The identity of a program: what is computed, apart from the values that enter it.

Owns: the canonical form of a pending graph (ops, arguments, shapes and wiring, with leaves
numbered) under which finished programs are cached in memory and on disk. Must not know: what is
done with a program. Two graphs with equal keys differ only in their leaves' values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lazygrad.ir.node import Node, toposort
from lazygrad.ir.ops.leaf import SCALAR


@dataclass(frozen=True)
class Structure:
    """`order`: all nodes, sources first. `leaves`: those with run-time values, in key order."""

    key: tuple[Any, ...]
    order: list[Node]
    leaves: list[Node]
    outputs: list[Node]

    @property
    def device(self) -> str:
        """Where the program runs: all outputs are on one device."""
        return self.outputs[0].device


def structure(outputs: Sequence[Node], order: list[Node] | None = None) -> Structure:
    """The canonical form of what `outputs` need."""
    if order is None:
        order = toposort(outputs)
    index: dict[Node, int] = {}
    entries: list[Any] = []
    leaves: list[Node] = []
    for number, node in enumerate(order):
        index[node] = number
        if node.buffer is not None:
            leaves.append(node)
            entries.append((node.dtype, node.shape))
        elif node.op is SCALAR:
            leaves.append(node)
            entries.append(node.dtype)
        else:
            srcs = node.srcs
            entries.append(
                (node.op.name, node.arg, node.dtype, node.shape, *[index[s] for s in srcs])
            )
    key = (tuple(entries), tuple([index[o] for o in outputs]))
    return Structure(key, order, leaves, list(outputs))


def digest(*parts: Any) -> str:
    """A stable name for a key: the same in every process."""
    text = "\x1f".join(part if isinstance(part, str) else repr(part) for part in parts)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
