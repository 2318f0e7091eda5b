"""Helpers for tests on nodes: leaves, layouts, samples, and comparison with the interpreter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import on_device

from lazygrad.ir import ops
from lazygrad.ir.dtypes import ALL, DType, float32
from lazygrad.ir.interp import evaluate, from_storage, to_storage
from lazygrad.ir.node import Node, toposort
from lazygrad.ir.ops import Op
from lazygrad.ir.views import View
from lazygrad.realize import observers, read, realize_nodes
from lazygrad.runtime.device import from_array
from lazygrad.runtime.stats import stats

DEVICE = {"cpu": "cpu", "cuda": "cuda:0"}[on_device.name()]  # where the tests' nodes are
New = Callable[..., Node]  # new(*shape): a fresh leaf


def leaf(values: object, dtype: DType = float32) -> Node:
    """A node whose value is in memory; `values` are in the compute dtype."""
    array = np.ascontiguousarray(to_storage(np.asarray(values), dtype)).reshape(np.shape(values))
    return ops.buffer_leaf(from_array(array, DEVICE), array.shape, dtype, DEVICE)


def normal(rng: np.random.Generator, *shape: int, dtype: DType = float32) -> Node:
    return leaf(rng.normal(size=shape).astype(np.float32), dtype)


def value(node: Node) -> np.ndarray:
    """A computed node's value in the compute dtype."""
    return from_storage(read(node), node.dtype)


def interpreted(outputs: Sequence[Node]) -> list[np.ndarray]:
    """What the interpreter makes of nodes that are not computed yet."""
    values = evaluate(toposort(outputs), read)
    return [values[node] for node in outputs]


def compiled(outputs: Sequence[Node]) -> list[np.ndarray]:
    """What one program makes of them all."""
    realize_nodes(outputs)
    return [value(node) for node in outputs]


def kernels_of(outputs: Sequence[Node]) -> int:
    """Realize, and count the kernels that ran."""
    before = stats.kernels
    realize_nodes(outputs)
    return stats.kernels - before


class Launches:
    """The names of the kernels that run in a block."""

    def __enter__(self) -> list[str]:
        self.names: list[str] = []
        observers.append(self.watch)
        return self.names

    def watch(self, structure: object, program: object) -> Callable[..., None]:
        return lambda launch, nanoseconds: self.names.append(launch.name)

    def __exit__(self, *error: object) -> None:
        observers.remove(self.watch)


def dtypes_of(op: Op) -> list[DType]:
    return [d for d in ALL if d.kind in op.kinds]


def sample(
    rng: np.random.Generator, shape: Sequence[int], dtype: DType, op: Op, position: int
) -> np.ndarray:
    """Values in the compute dtype that the op's source at this position may have."""
    shape = tuple(shape)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind == "f":
        return np.asarray(rng.uniform(*op.domain, shape)).astype(np.float64)
    info = np.iinfo(dtype.np)
    if op in (ops.shl, ops.shr) and position == 1:
        low = -1 if dtype.kind == "i" else 0
        return rng.integers(low, 8 * dtype.itemsize + 2, shape).astype(dtype.np)
    if op is ops.power and position == 1:
        return rng.integers(-2 if dtype.kind == "i" else 0, 7, shape).astype(dtype.np)
    values = rng.integers(info.min, info.max, shape, dtype.np, endpoint=True)
    small = rng.integers(max(info.min, -5), 6, shape).astype(dtype.np)
    values = np.where(rng.random(shape) < 0.5, values, small)
    if op.errors and position == 1:  # a divisor
        values = np.where(values == 0, 3, values).astype(dtype.np)
    return np.asarray(values)


def stored_sample(
    rng: np.random.Generator, shape: Sequence[int], dtype: DType, op: Op, position: int
) -> Node:
    values = sample(rng, shape, dtype, op, position)
    return leaf(values.astype(np.float32) if dtype.is_half else values, dtype)


# Layouts of the shape (3, 17), made of a fresh leaf by movement that must fold into the loads ...
SAME: dict[str, Callable[[New], Node]] = {
    "contiguous": lambda new: new(3, 17),
    "transposed": lambda new: ops.permute(new(17, 3), arg=(1, 0)),
    "row": lambda new: ops.expand(new(1, 17), arg=(3, 17)),
    "column": lambda new: ops.expand(new(3, 1), arg=(3, 17)),
    "repeated": lambda new: ops.expand(new(), arg=(3, 17)),
    "stepped": lambda new: ops.slice_(new(7, 40), arg=((0, 7, 3), (2, 36, 2))),
    "flipped": lambda new: ops.flip(new(3, 17), arg=(0, 1)),
    "padded": lambda new: ops.pad(new(2, 14), arg=((1, 0), (2, 1))),
    "window": lambda new: ops.window(new(19), arg=(0, 17, 1)),
    "strided": lambda new: ops.as_strided(new(70), arg=View((3, 17), (22, 1), 3)),
}
# ... and of others, which share their kernels with the contiguous one.
OTHER: dict[str, Callable[[New], Node]] = {
    "0-d": lambda new: new(),
    "empty": lambda new: new(0),
    "hollow": lambda new: new(3, 0, 2),
    "one": lambda new: new(1, 1),
    "flat": lambda new: new(1, 5),
    "cube": lambda new: new(2, 3, 7),
    "long": lambda new: new(130),
    "permuted": lambda new: ops.permute(new(7, 2, 3), arg=(1, 2, 0)),
}


def ulps(got: np.ndarray, truth: np.ndarray, dtype: DType) -> np.ndarray:
    """The distance from the float64 truth in units of the last place; 0 where both are NaN, or
    both the same infinity; inf where they differ in kind."""
    bits = {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7}[dtype.name]
    least = {"float64": -1022, "float32": -126, "float16": -14, "bfloat16": -126}[dtype.name]
    greatest = {"float64": 1023, "float32": 127, "float16": 15, "bfloat16": 127}[dtype.name]
    got, truth = np.asarray(got, np.float64), np.asarray(truth, np.float64)
    with np.errstate(all="ignore"):
        _, exponent = np.frexp(truth)
        unit = np.ldexp(1.0, np.clip(exponent - 1, least, greatest) - bits)
        top = (2 - 2.0**-bits) * 2.0**greatest
        near = np.where(np.isinf(got) & (np.abs(truth) >= top), 0.0, np.abs(got - truth) / unit)
        same = (got == truth) | (np.isnan(got) & np.isnan(truth))
        return np.where(same, 0.0, np.where(np.isnan(near), np.inf, near))


def same_bits(got: np.ndarray, want: np.ndarray) -> bool:
    """Equal, NaN to NaN and the sign of zero too."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return False
    if got.dtype.kind != "f":
        return bool(np.array_equal(got, want))
    nan = np.isnan(got)
    return bool(
        np.array_equal(nan, np.isnan(want))
        and np.array_equal(got[~nan], want[~nan])
        and np.array_equal(np.signbit(got[~nan]), np.signbit(want[~nan]))
    )
