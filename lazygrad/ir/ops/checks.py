"""Ops that pass their operand on and report what it must not be.

Owns: what is checked, and how a report becomes an exception. Must not know: who asks, whose words
a check carries. A check costs no kernel and waits for no value: it runs where its operand is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lazygrad.ir.node import Node, Place, place_text
from lazygrad.ir.ops.core import Lowering, Op, register

OUT_OF_RANGE = "IndexError: index {value} is out of bounds for dimension with size {size}"
_KINDS = {kind.__name__: kind for kind in (IndexError, RuntimeError)}


@dataclass(frozen=True)
class Check:
    """A check's argument: the bound, and the exception's type and words.

    The words may have `{value}`, what was found, `{asked}`, the index it was made from if a
    negative one counts from the end, and `{size}`.
    """

    size: int
    words: str = OUT_OF_RANGE

    def __str__(self) -> str:
        return str(self.size)


_MARK = "_of_a_check"


def complaint(words: str, value: int = 0, size: int = 0, at: str = "") -> Exception:
    """The exception of a report: `words` begin with its type, `at` is said behind them."""
    kind, _, text = words.partition(": ")
    asked = value - size if value < 0 else value
    made = _KINDS[kind](text.format(value=value, asked=asked, size=size) + at)
    setattr(made, _MARK, True)
    return made


def is_complaint(error: Exception) -> bool:
    """Whether it is a report of a check, not a failure of anything else."""
    return hasattr(error, _MARK)


def recorded_at(place: Place) -> str:
    """What is said of the user's line behind a complaint."""
    text = place_text(place)
    return f" (recorded at {text})" if text else ""


def check_range(
    index: np.ndarray, size: int, words: str = OUT_OF_RANGE, place: Place = None
) -> np.ndarray:
    """The indices. Raises the complaint for the first that is not in [0, size)."""
    if index.size and (index.min() < 0 or index.max() >= size):
        bad = int(index[(index < 0) | (index >= size)].flat[0])
        raise complaint(words, bad, size, recorded_at(place))
    return index


def check_unit_range(values: np.ndarray, words: str, place: Place = None) -> np.ndarray:
    """The values. Raises the complaint where one is not in [0, 1], NaN among them."""
    if not ((values >= 0) & (values <= 1)).all():
        raise complaint(words, at=recorded_at(place))
    return values


def words_of(node: Node) -> str:
    """What a kernel's report at this node means."""
    return node.arg.words if isinstance(node.arg, Check) else node.op.errors[0]


def _same(srcs: tuple[Node, ...], arg: Any) -> Any:
    return srcs[0].shape, srcs[0].dtype


check_index: Op = register(
    Op(
        "check_index",
        Lowering.POINTWISE,
        _same,
        lambda index, *, node: check_range(index, node.arg.size, node.arg.words, node.place),
        c="v_index_{t}({0}, {size}, err)",
        kinds="i",
        sized=True,
        errors=(OUT_OF_RANGE,),
    )
)
check_unit: Op = register(
    Op(
        "check_unit",
        Lowering.POINTWISE,
        _same,
        lambda x, *, node: check_unit_range(x, node.arg.words, node.place),
        lambda g, y, x, *, arg: (g,),
        c="v_unit_{t}({0}, err)",
        kinds="f",
        domain=(0.0, 1.0),
        errors=("RuntimeError: not between 0 and 1",),
    )
)
CHECKS = (check_index, check_unit)
