"""Leaves of the graph: values known without running anything, or functions of their index."""

from __future__ import annotations

from typing import Any

import numpy as np

from lazygrad.ir.dtypes import DType, float32, int32, int64
from lazygrad.ir.node import Node, Shape
from lazygrad.ir.ops.core import Lowering, Op, register
from lazygrad.ir.philox import normals, random_words
from lazygrad.ir.traced import plain


def _given(srcs: tuple[Node, ...], arg: Any) -> tuple[Shape, DType]:
    raise TypeError("leaves are made by the functions of this module, which know their shape")


def _no_meaning(*arrays: np.ndarray, node: Node) -> np.ndarray:
    raise TypeError(f"{node!r} has no value yet")


BUFFER = register(Op("buffer", Lowering.LEAF, _given, _no_meaning, arity=0))
SCALAR = register(
    Op("scalar", Lowering.LEAF, _given, lambda node: np.asarray(plain(node.value)), arity=0)
)
CONST = register(
    Op("const", Lowering.LEAF, _given, lambda node: np.asarray(const_value(node)), arity=0)
)
IOTA = register(
    Op(
        "iota",
        Lowering.LEAF,
        _given,
        lambda node: np.arange(node.numel, dtype=np.int64).reshape(node.shape),
        arity=0,
    )
)


def _drawn(meaning: Any) -> Any:
    """A draw's elements from (seed, draw) and the node's stream."""

    def numpy(seed: np.ndarray, draw: np.ndarray, *, node: Node) -> np.ndarray:
        return meaning(int(seed), int(draw), node.arg, node.numel).reshape(node.shape)

    return numpy


def _random_bits(*which: int) -> np.ndarray:
    return random_words(*which).view(np.int32)


RANDOM = register(Op("random", Lowering.LEAF, _given, _drawn(_random_bits), arity=2))
NORMAL = register(Op("normal", Lowering.LEAF, _given, _drawn(normals), arity=2))
DRAWS = (RANDOM, NORMAL)  # leaves that are made from (seed, number of the draw), and dear


def scalar(value: Any, dtype: DType, device: str) -> Node:
    """A Python number that enters at run time: programs that differ only in it are the same."""
    return Node(SCALAR, (), None, (), dtype, device, value)


def const(value: Any, dtype: DType, device: str) -> Node:
    """A literal: part of the program's structure, written into the generated code."""
    kind = dtype.kind
    value = bool(value) if kind == "b" else int(value) if kind in "iu" else float(value)
    return Node(CONST, (), repr(value), (), dtype, device)


def const_value(node: Node) -> bool | int | float:
    """The Python number that a const node stands for."""
    if node.dtype.kind == "b":
        return node.arg == "True"
    return int(node.arg) if node.dtype.kind in "iu" else float(node.arg)


def lit(value: Any, like: Node) -> Node:
    """A literal of another node's dtype and device."""
    return const(value, like.dtype, like.device)


def iota(shape: Shape, device: str) -> Node:
    """int64: each element's position in row-major order."""
    return Node(IOTA, (), None, shape, int64, device)


def random_bits(seed: Node, draw: Node, shape: Shape, stream: int, device: str) -> Node:
    """int32 with uniformly random bits, a function of (seed, draw, stream, position) only.

    seed and draw are int64 scalars. Philox4x32-10: Salmon et al., "Parallel random numbers: as
    easy as 1, 2, 3", SC 2011.
    """
    return Node(RANDOM, (seed, draw), stream, shape, int32, device)


def random_normals(seed: Node, draw: Node, shape: Shape, stream: int, device: str) -> Node:
    """float32, standard normal, a function of (seed, draw, stream, position) only."""
    return Node(NORMAL, (seed, draw), stream, shape, float32, device)


def buffer_leaf(buffer: Any, shape: Shape, dtype: DType, device: str) -> Node:
    """A node whose value is in memory, row-major."""
    node = Node(BUFFER, (), None, shape, dtype, device)
    node.buffer = buffer
    return node
