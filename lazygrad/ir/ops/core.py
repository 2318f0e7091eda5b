"""What an op is, and the registry of all of them.

Owns: `Op`, the one declaration a primitive has (shape and dtype rule, lowering kind, gradient,
numpy meaning, C expression, sample domain), and the table of all ops by name. Must not know: any
particular op.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node, Shape

Infer = Callable[[tuple[Node, ...], Any], tuple[Shape, DType]]
Vjp = Callable[..., Sequence[Node | None]]


class Lowering(enum.Enum):
    """How an op becomes code: the closed set that passes and backends match on."""

    LEAF = "leaf"  # a value that is there already, or is a function of its index
    POINTWISE = "pointwise"  # one output element from one element of each source
    REDUCE = "reduce"  # fewer elements, over `arg` axes, which stay with extent 1
    MOVEMENT = "movement"  # the same elements elsewhere: folds into a View
    CONTRACT = "contract"  # matrix product
    INDEXED = "indexed"  # reads or writes at computed positions
    EXTERN = "extern"  # a function of its own, or run on the host by its numpy meaning


@dataclass(frozen=True, eq=False)
class Op:
    """One primitive. Calling it makes a node, after the rule in `infer` has accepted the sources.

    vjp(g, y, *srcs, arg) gives the gradient of each source (None: not differentiable), written
    with the same ops. `saves` names the values it reads: source positions, -1 for the output.
    numpy(*arrays, node) is the meaning, on arrays of the compute dtypes. `c` is the C expression
    with {0}, {1} for operands and {t} for the vector type (`f32x16`), either one text or one for
    each dtype kind. `domain` is the interval that generated tests sample float operands from;
    `kinds` the dtype kinds that sources may have; `ulp` the C version's documented error bound.
    """

    name: str
    lowering: Lowering
    infer: Infer
    numpy: Callable[..., np.ndarray]
    vjp: Vjp | None = None
    saves: tuple[int, ...] = ()
    c: str | dict[str, str] | None = None
    arity: int = 1
    kinds: str = "buif"
    domain: tuple[float, float] = (-2.0, 2.0)
    ulp: float = 0.0
    view: Callable[..., Any] | None = None  # MOVEMENT: (View, arg) -> View | None
    identity: Callable[[DType], str] | None = None  # REDUCE: the neutral element as a literal
    strided: bool = False  # EXTERN: its function reads any strides
    written: Callable[..., Node] | None = None  # how planning writes it, with other ops
    sized: bool = False  # whether the integers of its argument are sizes, or positions as they are
    errors: tuple[str, ...] = field(default=())  # texts of the flags a kernel of this op may raise

    def __call__(self, *srcs: Node, arg: Any = None, value: Any = None) -> Node:
        shape, dtype = self.infer(srcs, arg)
        device = srcs[0].device
        if len(srcs) > 1:
            for src in srcs:
                if src.device != device:
                    if self.lowering is Lowering.INDEXED and len(srcs) > 1:
                        srcs = _with_index_beside(srcs)
                    device = common_device(srcs)
                    break
        return Node(self, srcs, arg, shape, dtype, device, value)

    def __repr__(self) -> str:
        return f"<op {self.name}>"


def _with_index_beside(srcs: tuple[Node, ...]) -> tuple[Node, ...]:
    """Positions may come from another device: they are copied to where they are used."""
    from lazygrad.ir.ops.extern import to_device

    base, index, *rest = srcs
    if index.dtype.kind == "i" and index.device != base.device:
        index = to_device(index, base.device)
    return (base, index, *rest)


def common_device(srcs: Sequence[Node]) -> str:
    """The device of an op on these; numbers (0-d leaves without memory) are everywhere.

    Raises RuntimeError where there are two.
    """
    if all(s.device == srcs[0].device for s in srcs):
        return srcs[0].device
    placed = [s for s in srcs if s.shape or s.srcs or s.buffer is not None]
    names = list(dict.fromkeys(s.device for s in placed or srcs[:1]))
    if len(names) > 1:
        names.sort(key=lambda name: ":" not in name)  # the host, which has no number, comes last
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, "
            f"{names[0]} and {names[1]}!"
        )
    return names[0]


REGISTRY: dict[str, Op] = {}


def register(op: Op) -> Op:
    """Add an op to the registry. Raises ValueError if the name is taken."""
    if op.name in REGISTRY:
        raise ValueError(f"op {op.name!r} is declared twice")
    REGISTRY[op.name] = op
    return op
