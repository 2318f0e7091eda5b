"""Checks of values: of indices, classes and probabilities.

Owns: when they are made. Values in memory are looked at in the call. Pending ones are not computed
for that: the check becomes part of the graph, and its error names the line that recorded it. Must
not know: the operations, or their words.
"""

from __future__ import annotations

import numpy as np

from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node
from lazygrad.ir.ops.checks import check_range, check_unit_range
from lazygrad.realize import traces
from lazygrad.tensor import promotion as P
from lazygrad.tensor.convert import host_values
from lazygrad.tensor.core import Tensor, node_of
from lazygrad.tensor.history import record
from lazygrad.tensor.size import HOST


def known(t: Tensor) -> bool:
    """Whether the values are in the host's memory already.

    Not while a function is recorded: its kernels check them, as in the replays.
    """
    if traces or t._storage.device != HOST:
        return False
    node = t._storage.node
    return node is None or node.buffer is not None


def checked_index(index: Tensor, size: int, words: str) -> Node:
    """The index as int64, all in [0, size). Raises what `words` say (see `ops.Check`)."""
    node = P.cast(node_of(index), D.int64)
    if not known(index):
        return ops.check_index(node, arg=ops.Check(size, words))
    check_range(host_values(index), size, words)
    return node


def wrapped_index(index: Tensor, size: int, words: str) -> Node:
    """The index as int64, in which -1 is the last of `size`. Raises what `words` say."""
    node = P.cast(node_of(index), D.int64)
    if node.op is ops.check_index and node.arg.size == size:
        return node
    node = ops.where(
        ops.lt(node, ops.lit(0, node)),
        ops.add(node, P.scalar(size, D.int64, node.device)),
        node,
    )
    if not known(index):
        return ops.check_index(node, arg=ops.Check(size, words))
    values = host_values(index)
    if values.size and (values.min() < -size or values.max() >= size):  # as is seldom so
        check_range(np.where(values < 0, values + np.int64(size), values), size, words)
    return node


def check_filling(value: Tensor, dtype: DType) -> None:
    """Raise RuntimeError if the one value, which is read for that, is out of a dtype's range.

    It is not read where all values of its dtype fit.
    """
    own = value.dtype
    if own is dtype or D.promote_types(own, dtype) is dtype or dtype.kind == "b":
        return
    if dtype.kind == "f" and own.kind != "f" and dtype is not D.float16:
        return
    P.check_fits(host_values(value).item(), dtype)


def check_classes(target: Tensor, size: int, words: str, ignored: int) -> None:
    """Raise what `words` say if a class in memory is neither `ignored` nor in [0, size)."""
    if known(target):
        classes = host_values(target)
        if classes.size and (classes.min() < 0 or classes.max() >= size):  # as is seldom so
            check_range(classes[classes != ignored], size, words)


def check_probabilities(t: Tensor, words: str) -> None:
    """Raise what `words` say if a value in memory is not in [0, 1]."""
    if known(t):
        check_unit_range(host_values(t), words)


def checked_probabilities(t: Tensor, words: str) -> Tensor:
    """The same values; a pending one raises what `words` say when it is computed."""
    if known(t):
        return t
    x = node_of(t)
    return record("", (t,), (x,), ops.check_unit(x, arg=ops.Check(1, words)))
