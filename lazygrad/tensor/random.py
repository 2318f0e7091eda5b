"""Random numbers: counter-based, so that the bits do not depend on when or where they are made.

Owns: the distributions; each random operation takes its number of a draw when it is recorded.
Must not know: how bits are computed (the `random` op does).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lazygrad.ir import dtypes as D
from lazygrad.ir import ops
from lazygrad.ir.dtypes import DType
from lazygrad.ir.node import Node
from lazygrad.ir.ops.checks import check_unit_range
from lazygrad.tensor import promotion as P
from lazygrad.tensor.aliasing import adopt, check_inplace
from lazygrad.tensor.checks import checked_probabilities
from lazygrad.tensor.convert import host_values
from lazygrad.tensor.core import Tensor, index_of, node_of, shape_of, wrap
from lazygrad.tensor.creation import check_dtype, check_sizes, laid_out, leaf
from lazygrad.tensor.declare import check_kind, check_tensor, declare
from lazygrad.tensor.generator import (
    Generator,
    default_generator,
    fork_rng,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from lazygrad.tensor.history import record
from lazygrad.tensor.kernels import require
from lazygrad.tensor.out import makes
from lazygrad.tensor.size import device_name
from lazygrad.tensor.views import size_args

__all__ = [
    "Generator",
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
]

_NOT_UNIT = (
    "RuntimeError: Expected p_in >= 0 && p_in <= 1 to be true, but got false.  (Could this error "
    "message be improved?  If so, please report an enhancement request to PyTorch.)"
)

# -- bits to numbers ----------------------------------------------------------------------------


def _top(bits: Node, count: int) -> Node:
    """The first `count` of 32 bits, as a non-negative int32."""
    if count == 32:
        return bits
    shifted = ops.shr(bits, ops.lit(32 - count, bits))
    return ops.bit_and(shifted, ops.lit((1 << count) - 1, bits))


_MANTISSA = {"float32": 24, "float16": 11, "bfloat16": 8}


def uniform_node(
    shape: tuple[int, ...],
    dtype: DType,
    generator: Generator | None,
    open_low: bool = False,
    stream: int = 0,
    draw: tuple[Node, Node] | None = None,
    where: str = "cpu",
) -> Node:
    """Uniform in [0, 1), or in (0, 1] with `open_low`; every step of the mantissa is possible."""
    pair = draw or (generator or default_generator).draw()
    bits = ops.random_bits(*pair, shape, stream, where)
    if dtype is D.float64:
        more = ops.random_bits(*pair, shape, stream + 2, where)
        high = ops.cast(_top(bits, 26), arg=D.float64)
        low = ops.cast(_top(more, 27), arg=D.float64)
        whole = ops.add(ops.mul(high, ops.lit(2.0**27, high)), low)
        count = 53
    else:
        count = _MANTISSA[dtype.name]
        whole = ops.cast(_top(bits, count), arg=D.float32)
    if open_low:
        whole = ops.add(whole, ops.lit(1, whole))
    return P.cast(ops.mul(whole, ops.lit(2.0**-count, whole)), dtype)


def normal_node(
    shape: tuple[int, ...], dtype: DType, generator: Generator | None, where: str = "cpu"
) -> Node:
    """Standard normal numbers. In float64 by Box-Muller: one from two uniform numbers."""
    draw = (generator or default_generator).draw()
    if dtype is not D.float64:
        return P.cast(ops.random_normals(*draw, shape, 0, where), dtype)
    u = uniform_node(shape, dtype, None, True, 0, draw, where)
    v = uniform_node(shape, dtype, None, False, 1, draw, where)
    radius = ops.sqrt(ops.mul(ops.lit(-2, u), ops.log(u)))
    return P.cast(ops.mul(radius, ops.cos(ops.mul(ops.lit(2 * math.pi, v), v))), dtype)


def integer_node(
    shape: tuple[int, ...],
    low: int,
    high: int,
    generator: Generator | None,
    where: str = "cpu",
) -> Node:
    """int64, uniform in [low, high): the whole part of span * (random bits / 2^bits), or bits
    modulo the span where that product does not fit. No number is more likely by 2^-20."""
    span = high - low
    draw = (generator or default_generator).draw()

    def word(stream: int) -> Node:
        bits = ops.cast(ops.random_bits(*draw, shape, stream, where), arg=D.int64)
        return ops.bit_and(bits, ops.lit(0xFFFFFFFF, bits))

    count, first = P.scalar(span, D.int64, "cpu"), word(0)
    half = ops.lit(32, first)
    if span <= 2**31:
        product = ops.mul(first, count)
        if span > 2**12:
            product = ops.add(product, ops.shr(ops.mul(word(1), count), half))
        picked = ops.shr(product, half)
    else:
        more = ops.bit_and(word(1), ops.lit(0x7FFFFFFF, first))
        picked = ops.remainder(ops.bit_or(ops.shl(more, half), first), count)
    return ops.add(picked, P.scalar(low, D.int64, "cpu"))


# -- functions ----------------------------------------------------------------------------------


def _float_only(dtype: Any, name: str, shape: tuple[int, ...]) -> DType:
    found = check_dtype(dtype, name) or P.default.dtype
    if 0 not in shape or name == "rand":
        require(name, found)
    return found


def _maker(name: str, node: Any) -> Any:
    def function(
        *sizes: Any,
        size: Any = None,
        generator: Generator | None = None,
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        pin_memory: bool = False,
    ) -> Tensor:
        shape = size_args(sizes if size is None else (size,), name)
        kind = _float_only(dtype, name, shape)
        where = device_name(device)
        check_sizes(shape, kind)
        return leaf(node(shape, kind, generator, where=where), requires_grad)

    function.__name__ = function.__qualname__ = name
    return makes(function)


rand = _maker("rand", uniform_node)
randn = _maker("randn", normal_node)


def rand_like(
    input: Tensor,
    *,
    dtype: Any = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
    device: Any = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    kind, where = dtype or input.dtype, device or input.device
    made = rand(shape_of(input), dtype=kind, device=where, generator=generator)
    return laid_out(made, input, requires_grad)


def randn_like(
    input: Tensor,
    *,
    dtype: Any = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
    device: Any = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    kind, where = dtype or input.dtype, device or input.device
    made = randn(shape_of(input), dtype=kind, device=where, generator=generator)
    return laid_out(made, input, requires_grad)


@makes
def randint(
    *args: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    size: Any = None,
    low: Any = None,
    high: Any = None,
    device: Any = None,
    layout: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Integers in [low, high)."""
    given = list(args)
    if size is None:
        size = given.pop()
    if high is None:
        high = given.pop()
    if low is None:
        low = given.pop() if given else 0
    for bound in (low, high):
        if isinstance(bound, float):
            raise TypeError("randint(): arguments 'low' and 'high' must be int, not float")
    dtype = check_dtype(dtype, "randint") or D.int64
    where = device_name(device)
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    shape = size_args((tuple(size),), "randint")
    check_sizes(shape, dtype)
    node = integer_node(shape, int(low), int(high), generator, where)
    return leaf(P.cast(node, dtype), requires_grad)


def randint_like(
    input: Tensor,
    *bounds: Any,
    dtype: Any = None,
    low: Any = None,
    high: Any = None,
    generator: Generator | None = None,
    requires_grad: bool = False,
    device: Any = None,
    layout: Any = None,
    memory_format: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    given = [b for b in (low, *bounds, high) if b is not None]
    if not given or None in bounds:
        raise TypeError("randint_like(): missing 1 required argument: 'high'")
    kind, where = dtype or input.dtype, device or input.device
    made = randint(*given, shape_of(input), dtype=kind, device=where, generator=generator)
    return laid_out(made, input, requires_grad)


@makes
def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """0 ... n-1 in random order: the order that sorts random keys."""
    if n < 0:
        raise RuntimeError(f"n must be non-negative, got{n}")
    n = index_of(n)
    dtype = check_dtype(dtype, "randperm") or D.int64
    require("randperm", dtype)
    draw, where = (generator or default_generator).draw(), device_name(device)
    high = ops.cast(ops.random_bits(*draw, (n,), 0, where), arg=D.int64)
    low = ops.cast(ops.random_bits(*draw, (n,), 1, where), arg=D.int64)
    low = ops.bit_and(low, ops.lit(0xFFFFFFFF, low))
    keys = ops.bit_or(ops.shl(high, ops.lit(32, high)), low)
    return leaf(P.cast(ops.argsort(keys, arg=(0, False)), dtype), requires_grad)


@makes
def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal numbers of given means and deviations."""
    if isinstance(std, (int, float)) and std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    if isinstance(mean, Tensor) or isinstance(std, Tensor):
        if size is not None:
            raise TypeError("normal() takes no size beside a mean or a std that is a tensor")
        like = mean if isinstance(mean, Tensor) else std
        kind, where = like.dtype, like._storage.device
        require("randn", kind)
        shape: tuple[int, ...] = ()
        for value in (mean, std):
            shape = P.joint_shape(shape, shape_of(value)) if isinstance(value, Tensor) else shape
        if isinstance(std, Tensor) and not (host_values(std) >= 0).all():
            raise RuntimeError("normal expects all elements of std >= 0.0")
        unit = wrap(normal_node(shape, kind, generator, where))
        return (unit * std + mean).detach().to(kind)
    kind = _float_only(dtype, "randn", ())
    where = device_name(device)
    unit = normal_node(size_args((size,), "normal"), kind, generator, where)  # type: ignore[assignment]
    return leaf(_affine(unit, std, mean), requires_grad)  # type: ignore[arg-type]


def _affine(node: Node, scale: Any, shift: Any) -> Node:
    node = ops.mul(node, P.scalar(scale, node.dtype, "cpu"))
    return ops.add(node, P.scalar(shift, node.dtype, "cpu"))


@declare(out="any")
def bernoulli(input: Tensor, p: Any = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probability that each element gives, or with probability p.

    Raises RuntimeError for p, or elements, outside of [0, 1]; for elements in a GPU's memory when
    the result is computed.
    """
    check_tensor(input, "bernoulli")
    x = node_of(input)
    if p is not None:
        drawn = P.cast(_bernoulli(input, generator, p), x.dtype)
        return record("BernoulliBackward0", (input,), (x,), drawn)
    if x.numel:
        require("bernoulli", x.dtype)
    wide = D.float64 if x.dtype is D.float64 else D.float32
    u = uniform_node(x.shape, wide, generator, where=x.device)
    if input.is_cpu:  # computed now: a bad probability is refused at the call
        check_unit_range(host_values(input), _NOT_UNIT)
        p = x
    else:
        p = node_of(checked_probabilities(input.detach(), _NOT_UNIT))
    drawn = P.cast(ops.lt(u, P.cast(p, u.dtype)), x.dtype)
    return record("BernoulliBackward0", (input,), (x,), drawn)


def dropout_mask(shape: tuple[int, ...], p: float, dtype: DType, where: str = "cpu") -> Node:
    """1 with probability 1 - p, else 0."""
    u = uniform_node(shape, D.float32, None, where=where)
    return P.cast(ops.le(P.scalar(p, D.float32, "cpu"), u), dtype)


# -- in place -----------------------------------------------------------------------------------


def _filler(name: str, make: Any) -> None:
    def function(
        self: Tensor, *args: Any, generator: Generator | None = None, **kwargs: Any
    ) -> Tensor:
        check_inplace(self)
        node = make(self, generator, *args, **kwargs)
        number = 0
        if name == "bernoulli":  # PyTorch has one record for a tensor and one for a number
            number = 1 if any(isinstance(p, Tensor) for p in (*args, *kwargs.values())) else 2
        record_name = f"{name.capitalize()}Backward{number}"
        return adopt(self, wrap(P.cast(node, self.dtype)), record_name)

    function.__name__ = f"{name}_"
    declare(f"{name}_", function=False)(function)


def _uniform(
    self: Tensor,
    generator: Any,
    a: float = 0.0,
    b: float = 1.0,
    *,
    to: float | None = None,
    **more: Any,
) -> Node:
    low, high = more.get("from", a), b if to is None else to
    if low > high:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low} > to={high}"
        )
    require("rand", self.dtype)
    unit = uniform_node(shape_of(self), self.dtype, generator, where=self._storage.device)
    return _affine(unit, high - low, low)


def _normal(self: Tensor, generator: Any, mean: float = 0.0, std: float = 1.0) -> Node:
    for position, (name, value) in enumerate((("mean", mean), ("std", std)), 1):
        if isinstance(value, Tensor) and value.ndim:
            raise TypeError(
                f"normal_(): argument '{name}' (position {position}) must be float, not Tensor"
            )
    mean, std = float(mean), float(std)
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    require("randn", self.dtype)
    unit = normal_node(shape_of(self), self.dtype, generator, self._storage.device)
    return _affine(unit, std, mean)


def _random(
    self: Tensor, generator: Any, a: Any = None, b: Any = None, *, to: Any = None, **more: Any
) -> Node:
    low = more.get("from", a)
    high = b if to is None else to
    if high is None and low is not None:
        low, high = 0, low
    if high is None:
        kind = self.dtype
        top = {
            "float16": 2**11,
            "bfloat16": 2**8,
            "float32": 2**24,
            "float64": 2**53,
            "bool": 1,
        }.get(kind.name)
        low, high = 0, (int(np.iinfo(kind.np).max) if top is None else top) + 1
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    where = self._storage.device
    return integer_node(shape_of(self), int(low or 0), int(high), generator, where)


def _bernoulli(self: Tensor, generator: Any, p: Any = 0.5) -> Node:
    if isinstance(p, Tensor):
        return node_of(bernoulli(p.expand(shape_of(self)), generator=generator))
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
    u = uniform_node(shape_of(self), D.float32, generator, where=self._storage.device)
    return P.cast(ops.lt(u, P.scalar(p, D.float32, "cpu")), self.dtype)


def _exponential(self: Tensor, generator: Any, lambd: float = 1.0) -> Node:
    require("exponential_", self.dtype)
    if lambd <= 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    where = self._storage.device
    u = uniform_node(shape_of(self), self.dtype, generator, True, where=where)
    return ops.mul(ops.neg(ops.log(u)), P.scalar(1 / lambd, u.dtype, "cpu"))


_filler("uniform", _uniform)
_filler("normal", _normal)
_filler("random", _random)
_filler("bernoulli", _bernoulli)
_filler("exponential", _exponential)


@declare(out="same")
def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Indices drawn with the weights of each row."""
    check_kind(replacement, bool, "multinomial", "replacement", 3)
    if input.dtype.kind != "f":
        raise RuntimeError(
            "multinomial only supports floating-point dtypes for input, got: "
            f"{P.type_name(input.dtype)}"
        )
    if input.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    count = shape_of(input)[-1]
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > count:
        raise RuntimeError(
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement"
        )
    values = host_values(input)
    if not np.isfinite(values).all() or (values < 0).any():
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if (values.sum(-1) <= 0).any():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    weights, where = input.detach().double(), input._storage.device
    if not replacement:
        # the largest of weights / exponential numbers: a draw without replacement
        u = wrap(uniform_node(shape_of(input), D.float64, generator, True, where=where))
        keys = weights / -u.log()
        return keys.topk(num_samples, -1)[1]
    shape = (*shape_of(input)[:-1], num_samples)
    u = wrap(uniform_node(shape, D.float64, generator, where=where))
    total = weights.cumsum(-1)
    total = total / total[..., -1:]
    return (u.unsqueeze(-1) >= total.unsqueeze(-2)).sum(-1).clamp(max=count - 1)
